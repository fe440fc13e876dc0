"""Small gated tables, and what trains them beside plain ones."""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from recsys.config import DenseOptimizer, SparseOptimizer, TrainSection
from recsys.embeddings import FeatureVocabulary
from recsys.embeddings.gates.base import Gate
from recsys.embeddings.gates.gated import GATED, Gated, GatedTable
from recsys.embeddings.scheme import Scheme, StageStep
from recsys.embeddings.schemes.full import Full
from recsys.model import CtrModel
from recsys.testing.tiny_tables import make_layout
from recsys.training.strategy import shard, table_weights
from recsys.training.task import CtrTask
from tests.embeddings.trained_cases import make_batch

__all__ = ["GATED", "GATES_BY_NAME", "RowByRow", "Trained", "gate_of", "make_gated", "random_weights", "train"]

GATES_BY_NAME: dict[str, Any] = {
    "dnis": {"kind": "dnis"},
    "nested": {"kind": "nested", "widths": (2, 4)},
    "optembed": {"kind": "optembed", "widths": "all"},
    "pep": {"kind": "pep"},
    "autodim": {"kind": "autodim", "widths": (4,)},
    "autosrh": {"kind": "autosrh"},
}
"""Examples of all gates, for tables of 4 dimensions."""


class Trained(NamedTuple):
    """What some steps of training led to."""

    losses: list[float]
    weights: dict[str, Tensor]
    logits: Tensor
    """Of rows that were not trained on, in evaluation."""
    schemes: dict[str, Scheme]
    task: CtrTask


def make_gated(gate: Any, *sizes: int, dim: int = 4, blocks: tuple[int, ...] = (), groups: int | None = None) -> Gated:
    """Return a gated table "t" of vocabularies of these sizes."""
    spec = GatedTable.model_validate(
        {"features": ("*",), "scheme": "gated", "gate": gate, "blocks": blocks, "groups": groups}
    )
    return Gated("t", [FeatureVocabulary(f"v{i}", size) for i, size in enumerate(sizes)], dim, spec)


class RowByRow(Full):
    """A plain table whose bags are not summed by the kernel, but in torch, as behind a gate."""

    sums_bags = False


def random_weights(table: Gated) -> dict[str, Tensor]:
    """Return normal rows for the physical tables of a gated table."""
    draw = torch.Generator().manual_seed(0)
    return {one.name: torch.randn(one.rows, one.dim, generator=draw) for one in table.physical_tables()}


def gate_of(scheme: Scheme) -> Gate:
    """Return the gate of a gated table."""
    assert isinstance(scheme, Gated)
    return scheme.gate


def train(
    gate: Any | None, *, steps: int = 12, form: dict[str, Any] | None = None, sparse: str = "rowwise_adagrad"
) -> Trained:
    """Train a small model, each feature in a table of its own, gated or plain; the same batches every time."""
    plain = {"scheme": f"{__name__}:RowByRow"}
    keys = plain if gate is None else {"scheme": GATED, "gate": gate, "blocks": (2, 5)}
    torch.manual_seed(0)
    layout = make_layout({name: {"features": [name], **keys} for name in ("user", "item", "tags")}, **(form or {}))
    train = TrainSection(
        sparse_optimizer=SparseOptimizer.model_validate({"name": sparse, "lr": 0.05}),
        dense_optimizer=DenseOptimizer(name="adam", lr=0.01),
    )
    model = shard(CtrModel(layout.resolved, layout), train.sparse_optimizer, device=torch.device("cpu"))
    task = CtrTask(model, train, ["label"])
    losses, weights = [], table_weights(model)
    for step in range(steps):
        task.train_on(layout.collate(make_batch(16, step)))
        losses.append(float(task.batch_loss))
        for scheme in layout.schemes.values():
            scheme.after_step(StageStep(step + 1, steps, steps_per_epoch=4), weights)
    task.pipeline.end()
    with torch.no_grad():
        logits = model.eval()(layout.collate(make_batch(64, steps))).logits
    model.train()
    return Trained(losses, {name: weight.clone() for name, weight in weights.items()}, logits, layout.schemes, task)
