"""A small model of tables, a dense layer and a buffer, sharded as a test asks, and its tensors put together again."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import Tensor, distributed, nn
from torch.distributed._shard.sharded_tensor.api import ShardedTensor
from torchrec.distributed.embeddingbag import EmbeddingBagCollectionSharder
from torchrec.distributed.model_parallel import DistributedModelParallel
from torchrec.distributed.sharding_plan import column_wise, construct_module_sharding_plan, row_wise, table_wise
from torchrec.distributed.types import ShardingEnv, ShardingPlan
from torchrec.modules.embedding_configs import EmbeddingBagConfig, PoolingType
from torchrec.modules.embedding_modules import EmbeddingBagCollection
from torchrec.optim import SGD, Adagrad, RowWiseAdagrad
from torchrec.optim.apply_optimizer_in_backward import apply_optimizer_in_backward
from torchrec.sparse.jagged_tensor import KeyedJaggedTensor

from recsys.checkpoint import snapshot
from recsys.checkpoint.snapshot import size_of, tensors_of

ROWS = (11, 7, 2)
"""Of three tables. The kernels fail on a rank that has no row of a row-wise table."""
OPTIMIZERS = {"adagrad": Adagrad, "rowwise_adagrad": RowWiseAdagrad, "sgd": SGD}


class Small(nn.Module):
    def __init__(self, rows: tuple[int, ...], dim: int) -> None:
        super().__init__()
        tables = [
            EmbeddingBagConfig(
                name=f"t{i}", num_embeddings=n, embedding_dim=dim, feature_names=[f"f{i}"], pooling=PoolingType.SUM
            )
            for i, n in enumerate(rows)
        ]
        self.lookup = EmbeddingBagCollection(tables=tables, device=torch.device("meta"))
        self.dense = nn.Linear(dim * len(rows), 1)
        self.register_buffer("codes", torch.arange(34, dtype=torch.int8).reshape(17, 2))
        self.register_buffer("nothing", torch.empty(0, 3))

    def forward(self, ids: KeyedJaggedTensor) -> Tensor:
        scores: Tensor = self.dense(self.lookup(ids).values())
        return scores


def make(
    kind: str, optimizer: str = "adagrad", *, rows: tuple[int, ...] = ROWS, dim: int = 8, seed: int = 0
) -> DistributedModelParallel:
    """Shard a fresh model over the ranks there are."""
    torch.manual_seed(seed)
    model = Small(rows, dim)
    size = distributed.get_world_size()
    apply_optimizer_in_backward(OPTIMIZERS[optimizer], model.lookup.parameters(), {"lr": 0.1})
    kinds = {
        "table_wise": lambda i: table_wise(rank=i % size),
        "row_wise": lambda i: row_wise(),
        "column_wise": lambda i: column_wise(ranks=list(range(size))),
    }
    sharder = EmbeddingBagCollectionSharder()
    plan = construct_module_sharding_plan(
        model.lookup,
        {f"t{i}": kinds[kind](i) for i in range(len(rows))},
        sharder=sharder,
        local_size=size,
        world_size=size,
        device_type="cpu",
    )
    return DistributedModelParallel(
        model,
        env=ShardingEnv.from_process_group(distributed.group.WORLD),
        device=torch.device("cpu"),
        plan=ShardingPlan({"lookup": plan}),
        sharders=[sharder],
    )


def dense_adam(model: DistributedModelParallel) -> torch.optim.Optimizer:
    return torch.optim.Adam(model.module.dense.parameters(), lr=0.01)


def train(model: DistributedModelParallel, dense: torch.optim.Optimizer, rows: tuple[int, ...] = ROWS) -> None:
    """Make two steps, of other ids on each rank."""
    draw = torch.Generator().manual_seed(5 + distributed.get_rank())
    for _ in range(2):
        dense.zero_grad()
        ids = torch.cat([torch.randint(n, (6,), generator=draw) for n in rows])
        keys = [f"f{i}" for i in range(len(rows))]
        lengths = torch.ones(len(ids), dtype=torch.int64)
        model(KeyedJaggedTensor.from_lengths_sync(keys, ids, lengths)).square().sum().backward()
        dense.step()


def whole(model: DistributedModelParallel) -> dict[str, Tensor]:
    """Return a copy of every tensor of the model and of the tables' optimizer, put together from all ranks."""
    own = []
    for name, value in tensors_of(model).items():
        size = tuple(size_of(value))
        shards = (
            [(shard.metadata.shard_offsets, shard.tensor) for shard in value.local_shards()]
            if isinstance(value, ShardedTensor)
            else [([0] * len(size), value)]
        )
        own += [(name, size, offsets, tensor.detach().clone()) for offsets, tensor in shards]
    parts: list[list[tuple[str, tuple[int, ...], list[int], Tensor]]] = [[]] * distributed.get_world_size()
    distributed.all_gather_object(parts, own)
    found: dict[str, Tensor] = {}
    for name, size, offsets, tensor in (part for rank in parts for part in rank):
        place = tuple(slice(first, first + n) for first, n in zip(offsets, tensor.shape, strict=True))
        found.setdefault(name, torch.empty(size, dtype=tensor.dtype))[place] = tensor
    return found


@contextmanager
def small_chunks() -> Iterator[None]:
    """Split tensors into chunks of two rows or so."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(snapshot, "CHUNK_BYTES", 64)
        yield
