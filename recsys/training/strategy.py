"""Lightning beside TorchRec: tables are placed by DistributedModelParallel, the loop is Lightning's.

The model is sharded before the trainer sees it (`shard`), because evaluation and export need it without one. The
strategy then keeps Lightning from wrapping, moving or saving what TorchRec owns.
"""

from typing import Any, cast

import torch
from lightning.pytorch.strategies import SingleDeviceStrategy
from torch import Tensor, distributed, nn
from torch.distributed._shard.sharded_tensor.shard import Shard
from torchrec.distributed.embeddingbag import EmbeddingBagCollectionSharder
from torchrec.distributed.model_parallel import DistributedModelParallel
from torchrec.distributed.sharding_plan import construct_module_sharding_plan, table_wise
from torchrec.distributed.types import ModuleSharder, ShardingEnv, ShardingPlan

from recsys.config import Communication, SparseOptimizer
from recsys.embeddings import Lookup, fuse_optimizer
from recsys.errors import ConfigError, EnvironmentError_
from recsys.model import CtrModel
from recsys.ranks import SINGLE_PROCESS, World, current_world
from recsys.ranks.process_group import init_process_group
from recsys.sharding import Placement
from recsys.sharding.init_rows import fill_shard
from recsys.sharding.planner import codecs

__all__ = ["TorchRecStrategy", "pick_device", "shard", "table_weights"]


def pick_device(name: str | None = None, world: World = SINGLE_PROCESS) -> torch.device:
    """Return this rank's device of the kind asked for, or of CUDA where there is one, else the CPU."""
    if name is None:
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise EnvironmentError_("device: cuda was asked for, but torch sees no CUDA device; see `recsys doctor`")
    return torch.device("cuda", world.local_rank) if name == "cuda" else torch.device(name)


def shard(
    model: CtrModel,
    optimizer: SparseOptimizer,
    *,
    device: torch.device,
    placement: Placement | None = None,
    seed: int = 0,
    communication: Communication = "fp32",
) -> DistributedModelParallel:
    """Fuse the optimiser into the tables, place them on the ranks and fill them; every rank must call it.

    Args:
        model: with tables on the meta device.
        optimizer: of the tables.
        device: of this rank.
        placement: of the tables; None if there is one rank.
        seed: that fresh rows are drawn from.
        communication: how vectors and their gradients are written on their way between ranks.

    Raises:
        ConfigError: the kernel has no such optimiser on this device.
    """
    if optimizer.name == "adam" and device.type == "cpu":
        raise ConfigError(
            "train.sparse_optimizer.name: adam runs on CUDA only; on a CPU use rowwise_adagrad, adagrad or sgd"
        )
    init_process_group(device.type)
    assert placement is not None or current_world().size == 1, "several ranks need to know who holds what"
    fuse_optimizer(model.lookup, optimizer)
    for scheme in model.layout.schemes.values():
        scheme.use_optimizer(optimizer)
    sharder = EmbeddingBagCollectionSharder(qcomm_codecs_registry=codecs(communication))
    sharded = DistributedModelParallel(
        model,
        env=ShardingEnv.from_process_group(distributed.group.WORLD),
        device=device,
        plan=whole_tables(model.lookup, device)
        if placement is None
        else placement.sharding_plan(model.lookup, path="lookup", device=device),
        sharders=[cast("ModuleSharder[nn.Module]", sharder)],
    )
    for name, shards in table_shards(sharded).items():
        for held in shards:
            first_row, first_column = held.metadata.shard_offsets
            table = model.layout.physical[name]
            fill_shard(held.tensor, table, seed=seed, first_row=first_row, first_column=first_column)
    return sharded


def whole_tables(lookup: Lookup, device: torch.device) -> ShardingPlan:
    """Place every table whole on the only rank."""
    modules: dict[str, Any] = {name: module for name, module in lookup.named_children() if module is not None}
    return ShardingPlan(
        {
            f"lookup.{name}": construct_module_sharding_plan(
                module,
                {config.name: table_wise(rank=0) for config in module.embedding_bag_configs()},
                sharder=EmbeddingBagCollectionSharder(),
                local_size=1,
                world_size=1,
                device_type=device.type,
            )
            for name, module in modules.items()
        }
    )


def table_shards(model: DistributedModelParallel) -> dict[str, list[Shard]]:
    """Return the parts of each physical table that this rank holds; none of some tables."""
    return {
        name.rsplit(".", 2)[1]: value.local_shards()
        for name, value in model.state_dict().items()
        if ".embedding_bags." in name
    }


def table_weights(model: DistributedModelParallel) -> dict[str, Tensor]:
    """Return the rows (rows, dim) of the physical tables that lie whole on this rank, by name."""
    physical = model.module.layout.physical
    return {
        name: held.tensor
        for name, shards in table_shards(model).items()
        for held in shards
        if held.tensor.shape == (physical[name].rows, physical[name].dim)
    }


class TorchRecStrategy(SingleDeviceStrategy):
    """Lightning's loop around a model that TorchRec has placed: to Lightning, each rank is a process by itself."""

    def model_to_device(self) -> None:
        """Do nothing: `shard` placed everything."""

    @property
    def is_global_zero(self) -> bool:
        return current_world().is_rank_zero

    def teardown(self) -> None:
        """Release the plugins, and leave the model where it is for the evaluation that follows."""
        self.precision_plugin.teardown()
        assert self.accelerator is not None
        self.accelerator.teardown()
        self.checkpoint_io.teardown()
