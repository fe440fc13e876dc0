"""Reading rows of tables through TorchRec: the only file that knows its modules.

The collections are sharded by DistributedModelParallel also on one process, so that there is one code path and
the fused optimiser always applies. Sharding is always explicit: TorchRec's default planner makes small tables data
parallel, which silently hands them to the dense optimiser.

Dimension key: B rows, S slots, d width of one physical table.
"""

import torch
from torch import Tensor, nn
from torchrec.modules.embedding_configs import DataType, EmbeddingBagConfig, PoolingType
from torchrec.modules.embedding_modules import EmbeddingBagCollection
from torchrec.optim import SGD, Adagrad, Adam, RowWiseAdagrad
from torchrec.optim.apply_optimizer_in_backward import apply_optimizer_in_backward
from torchrec.sparse.jagged_tensor import KeyedTensor

from recsys.config.run import SparseOptimizer
from recsys.embeddings.batch import Batch
from recsys.embeddings.layout import Layout, pooled_key

__all__ = ["Lookup", "unpack_lookups", "fuse_optimizer"]

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
                data_type=DataType[self._layout.requests[name].precision.upper()],
                init_fn=_left_empty,
            )
            for name, features in keys.items()
        ]
        collection: nn.Module = EmbeddingBagCollection(tables=configs, device=torch.device("meta"))
        return collection

    def forward(self, batch: Batch) -> tuple[KeyedTensor | None, KeyedTensor | None]:
        """Look up `batch.pooled` and `batch.slots`.

        TorchRec's pipeline traces this and what calls it symbolically, to send ids of the next batch while this one is
        trained: it may do no more than read attributes of the batch.
        """
        pooled = None if self.pooled is None else self.pooled(batch.pooled)
        slots = None if self.slots is None else self.slots(batch.slots)
        return pooled, slots


def _left_empty(weight: Tensor) -> None:
    """Draw nothing: TorchRec knows a shard, but not of which rows; `fill_shard` does."""


def unpack_lookups(
    layout: Layout, pooled: KeyedTensor | None, slots: KeyedTensor | None, batch: Batch
) -> dict[str, list[Tensor]]:
    """Return for every field the rows of its lookups, one tensor (B, d), or (V, d) if jagged, for each."""
    found: dict[tuple[str, int], Tensor] = {}
    if pooled is not None:
        vectors = _by_key(pooled)
        for lookups in layout.pooled_keys.values():
            found |= {(field, k): vectors[pooled_key(field, k)][: batch.num_rows] for field, k in lookups}
    if slots is not None:
        vectors = _by_key(slots)
        for table, lookups in layout.slot_keys.items():
            reads = [layout.reads[field] for field, _ in lookups]
            sizes = [batch.num_rows if read.form == "bag" else len(batch.ids[read.field.name]) for read in reads]
            rows_Sd = vectors[table][: sum(sizes)]
            found |= dict(zip(lookups, torch.split(rows_Sd, sizes), strict=True))
    return {field: [found[field, k] for k in range(len(layout.lookups(field)))] for field in layout.reads}


def _by_key(looked: KeyedTensor) -> dict[str, Tensor]:
    return dict(zip(looked.keys(), looked.values().split(looked.length_per_key(), dim=1), strict=True))


def fuse_optimizer(lookup: Lookup, optimizer: SparseOptimizer) -> None:
    """Let the backward pass of the tables update them; call before sharding."""
    arguments: dict[str, float] = {"lr": optimizer.lr}
    if optimizer.name != "sgd":
        arguments["eps"] = optimizer.eps
    apply_optimizer_in_backward(_OPTIMIZERS[optimizer.name], lookup.parameters(), arguments)
