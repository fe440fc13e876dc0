"""Looking up rows of tables through TorchRec's EmbeddingBagCollection: the only file of the room that knows it.

The collections are sharded by DistributedModelParallel on a single process too, so that there is one code path and the
fused optimizer always applies. Their sharding is always explicit: TorchRec's default planner makes small tables data
parallel, which hands them to the dense optimizer without a word.

Dimension key: B rows of the batch, V ids of one field, S bags of one unpooled table, d width of one physical table.
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

__all__ = ["Lookup", "fuse_optimizer", "unpack_lookups"]

_OPTIMIZERS: dict[str, type[torch.optim.Optimizer]] = {
    "rowwise_adagrad": RowWiseAdagrad,
    "adagrad": Adagrad,
    "sgd": SGD,
    "adam": Adam,
}


class Lookup(nn.Module):
    """The two collections of a layout, which stay on the meta device until they are sharded."""

    def __init__(self, layout: Layout) -> None:
        super().__init__()
        pooled = {table: [pooled_key(field, k) for field, k in keys] for table, keys in layout.pooled_keys.items()}
        self.pooled = _collection(layout, pooled)
        self.unpooled = _collection(layout, {table: [table] for table in layout.unpooled_keys})

    def forward(self, batch: Batch) -> tuple[KeyedTensor | None, KeyedTensor | None]:
        """Look up `batch.pooled` and `batch.unpooled`.

        TorchRec's pipeline traces this and its caller symbolically, in order to send the ids of the next batch while
        this one is trained: nothing but reading attributes of the batch is allowed here.
        """
        pooled = None if self.pooled is None else self.pooled(batch.pooled)
        unpooled = None if self.unpooled is None else self.unpooled(batch.unpooled)
        return pooled, unpooled


def _collection(layout: Layout, keys: dict[str, list[str]]) -> nn.Module | None:
    if not keys:
        return None
    precisions = {
        table.name: scheme.spec.precision for scheme in layout.schemes.values() for table in scheme.physical_tables()
    }
    configs = [
        EmbeddingBagConfig(
            name=name,
            num_embeddings=layout.physical_tables[name].rows,
            embedding_dim=layout.physical_tables[name].dim,
            feature_names=features,
            pooling=PoolingType.SUM,
            data_type=DataType[precisions[name].upper()],
            init_fn=_leave_empty,
        )
        for name, features in keys.items()
    ]
    collection: nn.Module = EmbeddingBagCollection(tables=configs, device=torch.device("meta"))
    return collection


def _leave_empty(weight: Tensor) -> None:
    """Draw nothing: TorchRec does not say which rows of the table a shard has; `sharding.init_rows` fills them."""


def unpack_lookups(
    layout: Layout, pooled: KeyedTensor | None, unpooled: KeyedTensor | None, batch: Batch
) -> dict[str, list[Tensor]]:
    """Return the rows of every field's K lookups, as `Scheme.combine` takes them.

    Args:
        layout: Layout of the lookups.
        pooled: What `batch.pooled` looked up; each value is (B, d).
        unpooled: What `batch.unpooled` looked up; each value is (S, d).
        batch: The batch.

    Returns:
        For each field K tensors: (B, d), or (V, d) for jagged fields.
    """
    found: dict[tuple[str, int], Tensor] = {}
    if pooled is not None:
        vectors = _by_key(pooled)
        for keys in layout.pooled_keys.values():
            found |= {(field, k): vectors[pooled_key(field, k)][: batch.num_rows] for field, k in keys}
    if unpooled is not None:
        vectors = _by_key(unpooled)
        for table, keys in layout.unpooled_keys.items():
            lookups = [layout.field_lookups[field] for field, _ in keys]
            sizes = [batch.num_rows if one.form == "bag" else len(batch.ids[one.field.name]) for one in lookups]
            rows_Sd = vectors[table][: sum(sizes)]
            found |= dict(zip(keys, torch.split(rows_Sd, sizes), strict=True))
    return {field: [found[field, k] for k in range(len(layout.tables_of(field)))] for field in layout.field_lookups}


def _by_key(looked_up: KeyedTensor) -> dict[str, Tensor]:
    return dict(zip(looked_up.keys(), looked_up.values().split(looked_up.length_per_key(), dim=1), strict=True))


def fuse_optimizer(lookup: Lookup, optimizer: SparseOptimizer) -> None:
    """Make the backward pass of the tables update their rows; must be called before the tables are sharded."""
    arguments: dict[str, float] = {"lr": optimizer.lr}
    if optimizer.name != "sgd":
        arguments["eps"] = optimizer.eps
    apply_optimizer_in_backward(_OPTIMIZERS[optimizer.name], lookup.parameters(), arguments)
