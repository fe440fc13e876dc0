"""Lightning beside TorchRec: tables are placed by DistributedModelParallel, the loop is Lightning's.

The model is sharded before the trainer sees it (`shard`), because evaluation and export need it without one. The
strategy then keeps Lightning from wrapping, moving or saving what TorchRec owns.
"""

from typing import cast

import torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.pytorch.strategies import DDPStrategy
from torch import Tensor, distributed, nn
from torchrec.distributed.embeddingbag import EmbeddingBagCollectionSharder
from torchrec.distributed.model_parallel import DistributedModelParallel
from torchrec.distributed.types import ModuleSharder, ShardingEnv

from recsys.config import SparseOptimizer
from recsys.embeddings import fuse_optimizer, sharding_plan
from recsys.errors import ConfigError, EnvironmentError_
from recsys.model import CtrModel

__all__ = ["TorchRecStrategy", "pick_device", "shard", "table_weights"]


def pick_device(name: str | None = None) -> torch.device:
    """Return the device asked for, or CUDA where there is one, else the CPU."""
    if name is None:
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise EnvironmentError_("device: cuda was asked for, but torch sees no CUDA device; see `recsys doctor`")
    return torch.device("cuda:0" if name == "cuda" else name)


def ensure_process_group(device: torch.device) -> None:
    """Join a process group of one, without a launcher, a port or an environment variable."""
    if not distributed.is_initialized():
        backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
        distributed.init_process_group(backend, store=torch._C._distributed_c10d.HashStore(), rank=0, world_size=1)


def shard(model: CtrModel, optimizer: SparseOptimizer, *, device: torch.device) -> DistributedModelParallel:
    """Fuse the optimiser into the tables, place them on the device and fill them.

    Raises:
        ConfigError: the kernel has no such optimiser on this device.
    """
    if optimizer.name == "adam" and device.type == "cpu":
        raise ConfigError(
            "train.sparse_optimizer.name: adam runs on CUDA only; on a CPU use rowwise_adagrad, adagrad or sgd"
        )
    ensure_process_group(device)
    fuse_optimizer(model.lookup, optimizer)
    for scheme in model.layout.schemes.values():
        scheme.use_optimizer(optimizer)
    sharder = cast("ModuleSharder[nn.Module]", EmbeddingBagCollectionSharder())
    return DistributedModelParallel(
        model,
        env=ShardingEnv.from_process_group(distributed.group.WORLD),
        device=device,
        plan=sharding_plan(model.lookup, path="lookup", device=device),
        sharders=[sharder],
    )


def table_weights(model: DistributedModelParallel) -> dict[str, Tensor]:
    """Return the rows (rows, dim) of every physical table, by its name."""
    weights = {}
    for name, value in model.state_dict().items():
        if ".embedding_bags." in name:
            shard_of_one = value.local_shards()[0].tensor
            weights[name.rsplit(".", 2)[1]] = shard_of_one
    return weights


class TorchRecStrategy(DDPStrategy):
    """Lightning's distributed strategy, less all that DistributedModelParallel does itself."""

    def __init__(self, device: torch.device) -> None:
        super().__init__(parallel_devices=[device], cluster_environment=LightningEnvironment())

    def _configure_launcher(self) -> None:
        """Start no processes; Lightning's launcher for scripts also refuses to run in a notebook."""

    def _setup_model(self, model: nn.Module) -> nn.Module:  # type: ignore[override]
        """Leave the module alone: its model is wrapped already."""
        return model

    def model_to_device(self) -> None:
        """Do nothing: `shard` placed everything."""

    def _register_ddp_hooks(self) -> None:
        """Do nothing: there is no DistributedDataParallel here."""

    def teardown(self) -> None:
        """Release the plugins, and leave the model where it is for the evaluation that follows."""
        self.precision_plugin.teardown()
        assert self.accelerator is not None
        self.accelerator.teardown()
        self.checkpoint_io.teardown()
