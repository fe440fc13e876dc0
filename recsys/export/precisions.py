"""The precision of the rows of an exported model: as it is asked for, or the fewest bits that keep the AUC.

Dimension key: B rows, T tasks.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import get_args

import numpy as np
import torch

from recsys.config.schemes.base import ServedPrecision
from recsys.data.prepared import PreparedSplit
from recsys.embeddings import Layout
from recsys.embeddings.rows import has_rows
from recsys.embeddings.scheme import tensor_bytes
from recsys.errors import ExportError
from recsys.evaluation import auc
from recsys.export.graph import Graph
from recsys.export.torchscript import export_loaded
from recsys.registry import did_you_mean
from recsys.training.build import LoadedModel, read_split
from recsys.units import format_bytes

__all__ = ["EVERY_TABLE", "Measured", "asked_precisions", "choose_precisions", "measure"]

EVERY_TABLE = "*"
"""Key of the precision of all tables that are not named."""
PRECISIONS: tuple[ServedPrecision, ...] = get_args(ServedPrecision)
"""All precisions, from the one with most bits to the one with fewest."""

Precisions = Mapping[str, ServedPrecision]


@dataclass(frozen=True, slots=True)
class Measured:
    """The result of `measure`: what tables cost in some precisions, and what the model is worth with them."""

    precisions: Precisions
    """Precision of the rows of each table that has any; fp32 leaves them as they are configured."""
    table_bytes: Mapping[str, int]
    """Bytes of each table, those without rows included."""
    aucs: Mapping[str, float]
    """AUC of each task on the validation rows; {} if there are none."""

    @property
    def num_bytes(self) -> int:
        """Bytes of all tables."""
        return sum(self.table_bytes.values())

    def loss(self, before: "Measured") -> float:
        """Return what the task that loses most has lost in AUC since another measurement; negative for a gain."""
        return max(before.aucs[task] - found for task, found in self.aucs.items())


Measure = Callable[[Precisions], Measured]


def asked_precisions(layout: Layout, weights: Mapping[str, torch.Tensor], asked: Precisions) -> Precisions:
    """Return the precision of each table that has rows.

    Args:
        layout: the embedding layer.
        weights: physical table -> (rows, dim).
        asked: precision by the name of a table, and by `EVERY_TABLE` for those that are not named.

    Raises:
        ExportError: a name is that of no table, or of one without rows, or a precision is none.
    """
    tables = layout.schemes_by_table
    with_rows = [name for name, parts in tables.items() if any(has_rows(part.serving(weights)) for part in parts)]
    for name, precision in asked.items():
        if name != EVERY_TABLE and name not in tables:
            raise ExportError(f"tables: there is no table {name!r}{did_you_mean(name, list(tables))}")
        if precision not in PRECISIONS:
            which = "" if name == EVERY_TABLE else f"{name}: "
            raise ExportError(f"tables: {which}must be one of {', '.join(PRECISIONS)}, got {precision!r}")
        if name in tables and name not in with_rows:
            scheme = tables[name][0].spec.scheme
            raise ExportError(f"tables: {name}: scheme {scheme} keeps no rows of floats that could be {precision}")
    return {name: asked.get(name, asked.get(EVERY_TABLE, "fp32")) for name in with_rows}


def measure(loaded: LoadedModel, split: PreparedSplit | None, precisions: Precisions) -> Measured:
    """Return the bytes of the tables in some precisions, and the AUCs of the exported graph on the rows of a split.

    The graph scores the ids of prepared rows, which its own encoders would find, too.

    Args:
        loaded: the trained model.
        split: the validation rows; None measures no AUC.
        precisions: precision of the rows of each table.
    """
    graph = export_loaded(loaded, precisions=precisions)
    bytes_of = {name: tensor_bytes(reader) for name, reader in zip(loaded.layout.schemes, graph.tables, strict=True)}
    table_bytes = {
        table: sum(bytes_of[scheme.name] for scheme in schemes)
        for table, schemes in loaded.layout.schemes_by_table.items()
    }
    return Measured(precisions, table_bytes, {} if split is None else _aucs(graph, loaded, split))


def _aucs(graph: Graph, loaded: LoadedModel, split: PreparedSplit) -> dict[str, float]:
    scores, labels, weights = [], [], []
    with torch.inference_mode():
        for batch in read_split(loaded, split):
            lengths = {name: length_B.long() for name, length_B in batch.lengths.items()}
            scores.append(graph.score_ids(dict(batch.ids), lengths, batch.numbers))
            labels.append(batch.labels)
            weights.append(batch.weights)
    score_BT, label_BT = torch.cat(scores).numpy(), torch.cat(labels).numpy()
    given = [weight for weight in weights if weight is not None]
    weight_B: np.ndarray | None = torch.cat(given).numpy() if given else None
    tasks = loaded.resolved.config.labels
    return {task: auc(score_BT[:, t], label_BT[:, t], weight_B) for t, task in enumerate(tasks)}


def choose_precisions(
    measured: Measure, asked: Precisions, max_auc_loss: float | None, log: Callable[[str], None]
) -> tuple[Measured, Measured]:
    """Return what the tables are worth as they are configured, and in the precisions to export.

    Without a tolerance these are the ones that are asked for. With one, tables that lose more than it together get more
    bits one by one: first all of those that are asked for in 8 bits get 16, then 32, at each step the one that loses
    most on its own. That finds small tables, though not surely the smallest of all combinations.

    Args:
        measured: measures the model in some precisions.
        asked: the precisions to begin with.
        max_auc_loss: what the AUC on the validation rows may lose, of each task; None accepts any loss.
        log: called with a line for each measurement.

    Raises:
        ExportError: there is a tolerance, but no AUC.
    """
    before = measured(dict.fromkeys(asked, "fp32"))
    if max_auc_loss is not None and (not before.aucs or np.isnan(list(before.aucs.values())).any()):
        raise ExportError("max-auc-loss: the validation rows have no AUC: they need both classes of each label")
    log(f"as trained: {_figures(before, before)}")
    found = measured(asked)
    log(f"{_words(found)}: {_figures(found, before)}")
    is_within = partial(_is_within, before, max_auc_loss)
    if is_within(found):
        return before, found
    alone: dict[str, float] = {}
    for name in [name for name, precision in asked.items() if precision != "fp32"]:
        one = measured({other: asked[name] if other == name else "fp32" for other in asked})
        alone[name] = one.loss(before)
        log(f"{name} alone {asked[name]}: {_figures(one, before)}")
    worst_first = sorted(alone, key=lambda name: alone[name], reverse=True)
    for precision in PRECISIONS[-2::-1]:
        for name in worst_first:
            if PRECISIONS.index(found.precisions[name]) > PRECISIONS.index(precision):
                found = measured({**found.precisions, name: precision})
                log(f"{_words(found)}: {_figures(found, before)}")
                if is_within(found):
                    return before, found
    return before, found


def _is_within(before: Measured, max_auc_loss: float | None, found: Measured) -> bool:
    return max_auc_loss is None or found.loss(before) <= max_auc_loss


def _words(found: Measured) -> str:
    kinds = set(found.precisions.values())
    if len(kinds) == 1:
        return f"all tables {kinds.pop()}"
    return ", ".join(f"{name} {precision}" for name, precision in found.precisions.items())


def _figures(found: Measured, before: Measured) -> str:
    size = f"tables of {format_bytes(found.num_bytes)}"
    if not found.aucs:
        return size
    aucs = ", ".join(f"{value:.6f}" for value in found.aucs.values())
    loss = "" if found is before else f" (loss {found.loss(before):.6f})"
    return f"{size}, valid AUC {aucs}{loss}"
