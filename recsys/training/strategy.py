"""Sharding a model with TorchRec, and the strategy that lets Lightning train it.

`shard` wraps the model in DistributedModelParallel before a trainer sees it, because evaluation and export need it
without one. The strategy then keeps Lightning from wrapping, moving or saving what TorchRec owns.
"""

from typing import Any, cast

import torch
from lightning.pytorch.strategies import SingleDeviceStrategy
from torch import Tensor, distributed, nn
from torch.distributed._shard.sharded_tensor.shard import Shard
from torchrec.distributed.embeddingbag import EmbeddingBagCollectionSharder
from torchrec.distributed.model_parallel import DistributedModelParallel
from torchrec.distributed.sharding_plan import construct_module_sharding_plan, table_wise
from torchrec.distributed.types import ModuleSharder, ShardingEnv
from torchrec.distributed.types import ShardingPlan as TorchRecShardingPlan

from recsys.config import Communication, SparseOptimizer
from recsys.embeddings import Lookup, fuse_optimizer
from recsys.errors import ConfigError, EnvironmentError_
from recsys.model import CtrModel
from recsys.ranks import SINGLE_PROCESS, World, current_world
from recsys.ranks.process_group import init_process_group
from recsys.sharding import ShardingPlan
from recsys.sharding.init_rows import init_shard
from recsys.sharding.planner import comm_codecs

__all__ = ["TorchRecStrategy", "pick_device", "shard", "table_weights"]


def pick_device(name: str | None = None, world: World = SINGLE_PROCESS) -> torch.device:
    """Return this rank's device.

    Args:
        name: "cpu" or "cuda"; by default CUDA where it is available.
        world: Rank of this process.

    Raises:
        ConfigError: The name is another one.
        EnvironmentError_: CUDA is asked for and not available.
    """
    if name is None:
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name not in ("cpu", "cuda"):
        raise ConfigError(f"device: must be cpu or cuda, got {name!r}")
    if name == "cuda" and not torch.cuda.is_available():
        raise EnvironmentError_("device: cuda was asked for, but torch sees no CUDA device; see `recsys doctor`")
    return torch.device("cuda", world.local_rank) if name == "cuda" else torch.device(name)


def shard(
    model: CtrModel,
    optimizer: SparseOptimizer,
    *,
    device: torch.device,
    plan: ShardingPlan | None = None,
    seed: int = 0,
    communication: Communication = "fp32",
) -> DistributedModelParallel:
    """Fuse the optimizer into the tables, shard them over the ranks and draw their rows; every rank must call it.

    Args:
        model: The model, whose tables are on the meta device.
        optimizer: Optimizer of the tables.
        device: Device of this rank.
        plan: How the tables are sharded; None for a single process.
        seed: Seed of the initial rows.
        communication: Precision of the vectors and gradients that ranks exchange.

    Raises:
        ConfigError: The kernel does not have this optimizer on this device.
    """
    if optimizer.name == "adam" and device.type == "cpu":
        raise ConfigError(
            "train.sparse_optimizer.name: adam runs on CUDA only; on a CPU use rowwise_adagrad, adagrad or sgd"
        )
    init_process_group(device.type)
    assert plan is not None or current_world().size == 1, "several ranks need a sharding plan"
    fuse_optimizer(model.lookup, optimizer)
    for scheme in model.layout.schemes.values():
        scheme.use_optimizer(optimizer)
    sharder = EmbeddingBagCollectionSharder(qcomm_codecs_registry=comm_codecs(communication))
    sharded = DistributedModelParallel(
        model,
        env=ShardingEnv.from_process_group(distributed.group.WORLD),
        device=device,
        plan=single_process_plan(model.lookup, device)
        if plan is None
        else plan.to_torchrec(model.lookup, path="lookup", device=device),
        sharders=[cast("ModuleSharder[nn.Module]", sharder)],
    )
    for name, shards in table_shards(sharded).items():
        for held in shards:
            first_row, first_column = held.metadata.shard_offsets
            table = model.layout.physical_tables[name]
            init_shard(held.tensor, table, seed=seed, first_row=first_row, first_column=first_column)
    return sharded


def single_process_plan(lookup: Lookup, device: torch.device) -> TorchRecShardingPlan:
    """Return the plan that has every table whole on the only rank."""
    modules: dict[str, Any] = {name: module for name, module in lookup.named_children() if module is not None}
    return TorchRecShardingPlan(
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
    """Return the shards of each physical table that this rank holds, which may be none."""
    return {
        name.rsplit(".", 2)[1]: value.local_shards()
        for name, value in model.state_dict().items()
        if ".embedding_bags." in name
    }


def table_weights(model: DistributedModelParallel) -> dict[str, Tensor]:
    """Return the rows (rows, dim) of the physical tables that this rank holds whole, by name."""
    physical = model.module.layout.physical_tables
    return {
        name: held.tensor
        for name, shards in table_shards(model).items()
        for held in shards
        if held.tensor.shape == (physical[name].rows, physical[name].dim)
    }


class TorchRecStrategy(SingleDeviceStrategy):
    """Strategy for a model that TorchRec has sharded: for Lightning, each rank is a single process."""

    def model_to_device(self) -> None:
        """Do nothing: `shard` has moved everything."""

    @property
    def is_global_zero(self) -> bool:
        return current_world().is_rank_zero

    def teardown(self) -> None:
        """Release the plugins, and leave the model on its device for the evaluation that follows."""
        self.precision_plugin.teardown()
        assert self.accelerator is not None
        self.accelerator.teardown()
        self.checkpoint_io.teardown()
