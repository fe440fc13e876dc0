"""Layouts and rows small enough to compute by hand, and what trains them for a few steps."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torchrec.distributed.model_parallel import DistributedModelParallel

from recsys.config import Config, DenseOptimizer, SparseOptimizer, TrainSection, resolve
from recsys.data.rows import Jagged, Rows
from recsys.embeddings import Batch, FeatureVocabulary, Layout, unpack_lookups
from recsys.embeddings.lookup import Lookup
from recsys.model import CtrModel
from recsys.training.strategy import shard, table_weights
from recsys.training.task import CtrTask

__all__ = [
    "FEATURES",
    "MANY",
    "NUM_IDS",
    "Tables",
    "final_weights",
    "jagged",
    "look_up",
    "make_layout",
    "rows",
    "sharded",
    "train_steps",
]

FEATURES = {
    "user": {"type": "id"},
    "item": {"type": "id"},
    "tags": {"type": "ids"},
    "clicks": {"type": "sequence", "of": "item"},
}
NUM_IDS = {"user": 10, "item": 7, "tags": 5}
MANY = 10**11
"""More ids than any machine has memory for."""


def rows(user: list[int], item: list[int], tags: list[list[int]], clicks: list[list[int]]) -> Rows:
    """Return rows of the four fields above, labels all 0."""
    return Rows(
        single={"user": torch.tensor(user), "item": torch.tensor(item)},
        lists={"tags": jagged(tags), "clicks": jagged(clicks)},
        numbers=torch.zeros(len(user), 0),
        labels=torch.zeros(len(user), 1),
        weights=None,
        groups=None,
        num_rows=len(user),
        batch_rows=len(user),
    )


def jagged(lists: list[list[int]]) -> Jagged:
    """Lay the lists of all rows end to end."""
    flat = torch.tensor([value for one in lists for value in one], dtype=torch.int64)
    return Jagged(flat, torch.tensor([len(one) for one in lists], dtype=torch.int32))


def make_layout(
    tables: dict[str, Any],
    *,
    jagged: bool = False,
    regularized: bool = False,
    num_ids: Mapping[str, int | None] = NUM_IDS,
    features: dict[str, Any] = FEATURES,
) -> Layout:
    """Return the layout of a configuration with these tables, of the four fields above unless others are given."""
    config = Config.model_validate(
        {"label": "y", "features": features, "tables": tables, "model": {"tower": "mlp", "dim": 4}}, strict=False
    )
    return Layout(
        resolve(config, []),
        {name: FeatureVocabulary(name, size) for name, size in num_ids.items()},
        jagged=jagged,
        regularized=regularized,
    )


class Tables(torch.nn.Module):
    """Nothing but a lookup, sharded as in training, and the schemes, so that all of them train or none does."""

    def __init__(self, layout: Layout) -> None:
        super().__init__()
        self.layout = layout
        self.lookup = Lookup(layout)
        self.schemes = torch.nn.ModuleList(layout.schemes.values())


def sharded(layout: Layout, *, optimizer: str = "sgd", lr: float = 1.0) -> DistributedModelParallel:
    """Shard the tables of a layout on one process, with rows drawn from seed 0."""
    torch.manual_seed(0)
    return shard(Tables(layout), SparseOptimizer(name=optimizer, lr=lr), device=torch.device("cpu"))  # type: ignore


def look_up(model: DistributedModelParallel, layout: Layout, batch: Batch) -> dict[str, list[Tensor]]:
    """Return the rows of each lookup of every field."""
    pooled, unpooled = model.module.lookup(batch)
    return unpack_lookups(layout, pooled, unpooled, batch)


def final_weights(model: DistributedModelParallel, layout: Layout) -> dict[str, Tensor]:
    """Bring schemes that are trained in stages to the form in which they are served; return the tables."""
    weights = table_weights(model)
    for scheme in layout.schemes.values():
        for _ in range(scheme.spec.num_stages - 1):
            scheme.next_stage(weights)
        scheme.before_validation(weights)
    return weights


def train_steps(
    make_layout: Callable[..., Layout], tables: dict[str, Any], *, steps: int, without_tags: int = 0
) -> list[float]:
    """Train the whole model on labels that depend on user and item alone; return the loss of every step.

    The first `without_tags` batches have no tags.
    """
    torch.manual_seed(0)
    layout = make_layout(tables)
    train = TrainSection(
        sparse_optimizer=SparseOptimizer(name="adagrad", lr=0.05), dense_optimizer=DenseOptimizer(name="adam", lr=0.01)
    )
    model = shard(CtrModel(layout.resolved, layout), train.sparse_optimizer, device=torch.device("cpu"))
    task = CtrTask(model, train, ["label"])
    generator = torch.Generator().manual_seed(1)
    losses = []
    for step in range(steps):
        user, item = torch.randint(0, 10, (64,), generator=generator), torch.randint(0, 7, (64,), generator=generator)
        tags = [[] if step < without_tags else [u % 5] for u in user.tolist()]
        made = rows(user.tolist(), item.tolist(), tags, [[] for _ in range(64)])
        made.labels[:, 0] = ((user + item) % 2).float()
        task.train_on(layout.collate(made))
        losses.append(float(task.batch_loss))
    return losses
