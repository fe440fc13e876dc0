"""Candidates and dropped features on the validation rows, by masks on the frozen supernet; nothing is scored twice."""

import time
from collections.abc import Mapping
from typing import NamedTuple

from recsys.checksums import read_json, with_checksum, without_checksum
from recsys.data.prepared import PreparedSplit
from recsys.files import write_json
from recsys.progress import OnProgress, no_progress
from recsys.search.candidate import Candidate, Measured
from recsys.search.folder import SearchFolder
from recsys.search.front import pareto_front
from recsys.search.shape import TableShape
from recsys.search.supernet import gated_tables, prefix_shape, score_shapes, table_bytes
from recsys.training.build import LoadedModel

__all__ = ["DropCost", "Scorer"]

FIGURES = ("auc", "logloss")
"""Metrics that candidates are compared by; thousands are scored, so that no other is computed."""
_REMEDY = "delete it, and it is measured again"


class DropCost(NamedTuple):
    """Rise of metrics of the validation split if a feature alone is the zero vector, and nothing is trained again."""

    auc: float
    logloss: float


class Scorer:
    """Scores what is left of a supernet under masks.

    Args:
        loaded: the trained supernet.
        valid: the validation split.
        folder: folder of the search, which holds what was scored before.
    """

    def __init__(self, loaded: LoadedModel, valid: PreparedSplit, folder: SearchFolder) -> None:
        self.loaded = loaded
        self.valid = valid
        self.folder = folder
        self.tasks = list(loaded.resolved.config.labels)
        self.measured = {one.name: one for one in folder.measured() if one.source == "supernet"}

    def measure(self, candidate: Candidate) -> Measured:
        """Score a candidate, unless that was done before, and keep its predictions while it is on the front."""
        known = self.measured.get(candidate.name)
        if known is not None and dict(known.candidate.shapes) == dict(candidate.shapes):
            return known
        started = time.monotonic()
        scores = score_shapes(self.loaded, self.valid, candidate.shapes)
        metrics, size = scores.metrics(self.tasks, FIGURES), table_bytes(self.loaded, candidate.shapes)
        found = Measured(
            candidate=candidate,
            serving_bytes=size.serving,
            training_bytes=size.training,
            auc=metrics["auc"],
            auc_low=metrics.get("auc_low"),
            auc_high=metrics.get("auc_high"),
            seconds=time.monotonic() - started,
        )
        self.measured[found.name] = found
        if found in self.front():
            path = self.folder.predictions(found.name, "supernet")
            path.parent.mkdir(parents=True, exist_ok=True)
            scores.write(path, self.tasks)
        self.folder.add(found)
        self._forget_beaten()
        return found

    def front(self) -> list[Measured]:
        """Return the candidates that no other beats, the smallest first."""
        return pareto_front(self.measured.values())

    def drop_costs(self, on_progress: OnProgress = no_progress) -> dict[str, DropCost]:
        """Return what dropping each searched vocabulary alone would cost, by its name."""
        path = self.folder.drops
        known = without_checksum(read_json(path, remedy=_REMEDY), path, remedy=_REMEDY) if path.exists() else {}
        costs = {name: DropCost(*figures) for name, figures in known.items()}
        tables = gated_tables(self.loaded)
        missing = [name for name in tables if name not in costs]
        whole = self._figures({}) if missing else DropCost(0, 0)
        for name in missing:
            figures = self._figures({name: prefix_shape(tables[name], 0)})
            costs[name] = DropCost(figures.auc - whole.auc, figures.logloss - whole.logloss)
            write_json(path, with_checksum({name: list(cost) for name, cost in costs.items()}))
            on_progress("features", len(costs), len(tables))
        return costs

    def _figures(self, shapes: Mapping[str, TableShape]) -> DropCost:
        metrics = score_shapes(self.loaded, self.valid, shapes).metrics(self.tasks, FIGURES)
        return DropCost(metrics["auc"], metrics["logloss"])

    def _forget_beaten(self) -> None:
        """Delete the predictions of candidates that are no longer on the front."""
        kept = {one.name for one in self.front()}
        for path in self.folder.predictions("", "supernet").parent.glob("*.parquet"):
            if path.stem not in kept:
                path.unlink()
