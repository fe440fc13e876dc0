"""Plans and rows small enough to compute by hand."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torchrec.distributed.model_parallel import DistributedModelParallel

from recsys.config import Config, SparseOptimizer, resolve
from recsys.data.rows import Jagged, Rows
from recsys.embeddings import Layout
from recsys.embeddings.lookup import Lookup
from recsys.training.strategy import shard

FEATURES = {
    "user": {"type": "id"},
    "item": {"type": "id"},
    "tags": {"type": "ids"},
    "clicks": {"type": "sequence", "of": "item"},
}
NUM_IDS = {"user": 10, "item": 7, "tags": 5}


def rows(user: list[int], item: list[int], tags: list[list[int]], clicks: list[list[int]]) -> Rows:
    """Rows of the four fields above, labels all 0."""
    return Rows(
        single={"user": torch.tensor(user), "item": torch.tensor(item)},
        lists={"tags": jagged(tags), "clicks": jagged(clicks)},
        numbers=torch.zeros(len(user), 0),
        labels=torch.zeros(len(user), 1),
        weights=None,
        groups=None,
        num_rows=len(user),
    )


def jagged(lists: list[list[int]]) -> Jagged:
    flat = torch.tensor([value for one in lists for value in one], dtype=torch.int64)
    return Jagged(flat, torch.tensor([len(one) for one in lists], dtype=torch.int32))


@pytest.fixture
def make_layout() -> Callable[..., Layout]:
    def make(
        tables: dict[str, Any],
        *,
        jagged: bool = False,
        regularized: bool = False,
        num_ids: dict[str, int | None] = NUM_IDS,
        features: dict[str, Any] = FEATURES,
    ) -> Layout:
        config = Config.model_validate(
            {"label": "y", "features": features, "tables": tables, "model": {"tower": "mlp", "dim": 4}}, strict=False
        )
        return Layout(resolve(config, []), num_ids, jagged=jagged, regularized=regularized)

    return make


class Tables(torch.nn.Module):
    """Nothing but a lookup, sharded as in training."""

    def __init__(self, layout: Layout) -> None:
        super().__init__()
        self.layout = layout
        self.lookup = Lookup(layout)


def sharded(layout: Layout, *, optimizer: str = "sgd", lr: float = 1.0) -> DistributedModelParallel:
    torch.manual_seed(0)
    return shard(Tables(layout), SparseOptimizer(name=optimizer, lr=lr), device=torch.device("cpu"))  # type: ignore
