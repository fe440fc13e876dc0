"""Reading rows of tables through TorchRec: the only file that knows its modules.

The collections are sharded by DistributedModelParallel also on one process, so that there is one code path and
the fused optimiser always applies. Sharding is always explicit: TorchRec's default planner makes small tables data
parallel, which silently hands them to the dense optimiser.

Dimension key: B rows, S slots, d width of one physical table.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torchrec.distributed.embeddingbag import EmbeddingBagCollectionSharder
from torchrec.distributed.sharding_plan import construct_module_sharding_plan, table_wise
from torchrec.distributed.types import ShardingPlan
from torchrec.modules.embedding_configs import EmbeddingBagConfig, PoolingType
from torchrec.modules.embedding_modules import EmbeddingBagCollection
from torchrec.optim import SGD, Adagrad, Adam, RowWiseAdagrad
from torchrec.optim.apply_optimizer_in_backward import apply_optimizer_in_backward

from recsys.config.run import SparseOptimizer
from recsys.embeddings.batch import Batch
from recsys.embeddings.layout import Layout, pooled_key

__all__ = ["Lookup", "fuse_optimizer", "sharding_plan"]

_OPTIMIZERS: dict[str, type[torch.optim.Optimizer]] = {
    "rowwise_adagrad": RowWiseAdagrad,
    "adagrad": Adagrad,
    "sgd": SGD,
    "adam": Adam,
}


class Lookup(nn.Module):
    """Both collections of a layout, on the meta device until they are sharded."""

    def __init__(self, layout: Layout) -> None:
        super().__init__()
        self._layout = layout
        pooled = {t: [pooled_key(f, k) for f, k in lookups] for t, lookups in layout.pooled_keys.items()}
        self.pooled = self._collection(pooled)
        self.slots = self._collection({table: [table] for table in layout.slot_keys})

    def _collection(self, keys: dict[str, list[str]]) -> nn.Module | None:
        if not keys:
            return None
        configs = [
            EmbeddingBagConfig(
                name=name,
                num_embeddings=self._layout.physical[name].rows,
                embedding_dim=self._layout.physical[name].dim,
                feature_names=features,
                pooling=PoolingType.SUM,
                init_fn=self._layout.physical[name].init,
            )
            for name, features in keys.items()
        ]
        collection: nn.Module = EmbeddingBagCollection(tables=configs, device=torch.device("meta"))
        return collection

    def forward(self, batch: Batch) -> dict[str, list[Tensor]]:
        """Return for every field the rows of its lookups, one tensor (B, d), or (V, d) if jagged, for each."""
        found: dict[tuple[str, int], Tensor] = {}
        if self.pooled is not None:
            looked = self.pooled(batch.pooled)
            vectors = dict(zip(looked.keys(), looked.values().split(looked.length_per_key(), dim=1), strict=True))
            for lookups in self._layout.pooled_keys.values():
                found |= {(field, k): vectors[pooled_key(field, k)] for field, k in lookups}
        if self.slots is not None:
            looked = self.slots(batch.slots)
            vectors = dict(zip(looked.keys(), looked.values().split(looked.length_per_key(), dim=1), strict=True))
            for table, lookups in self._layout.slot_keys.items():
                found |= self._cut(vectors[table], lookups, batch)
        return {
            field: [found[field, k] for k in range(len(self._layout.lookups(field)))] for field in self._layout.reads
        }

    def _cut(self, rows_Sd: Tensor, lookups: list[tuple[str, int]], batch: Batch) -> dict[tuple[str, int], Tensor]:
        """Cut the slots of one table into the bags of its fields."""
        reads = self._layout.reads
        sizes = [batch.num_rows if reads[field].form == "bag" else len(batch.ids[field]) for field, _ in lookups]
        return dict(zip(lookups, torch.split(rows_Sd[: sum(sizes)], sizes), strict=True))


def fuse_optimizer(lookup: Lookup, optimizer: SparseOptimizer) -> None:
    """Let the backward pass of the tables update them; call before sharding."""
    arguments: dict[str, float] = {"lr": optimizer.lr}
    if optimizer.name != "sgd":
        arguments["eps"] = optimizer.eps
    apply_optimizer_in_backward(_OPTIMIZERS[optimizer.name], lookup.parameters(), arguments)


def sharding_plan(lookup: Lookup, *, path: str, device: torch.device) -> ShardingPlan:
    """Place every table whole on rank 0; `path` is where the lookup lives in the model."""
    sharder = EmbeddingBagCollectionSharder()
    modules: dict[str, Any] = {name: module for name, module in lookup.named_children() if module is not None}
    return ShardingPlan(
        {
            f"{path}.{name}": construct_module_sharding_plan(
                module,
                {config.name: table_wise(rank=0) for config in module.embedding_bag_configs()},
                sharder=sharder,
                local_size=1,
                world_size=1,
                device_type=device.type,
            )
            for name, module in modules.items()
        }
    )
