"""Runs, or predictions of models from elsewhere, with what was found out about them: all that a page tells of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import polars as pl

    from recsys.evaluation.predictions import Predictions
    from recsys.evaluation.verdict import Verdict

__all__ = ["Compared", "Judged"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Judged:
    """A run, or predictions of any model, with what was found out about it."""

    name: str
    """Unique in a page."""
    predictions: "Mapping[str, Predictions]"
    """The predictions of each task by its name; that of the only task is ""."""
    metrics: Mapping[str, float]
    """Figures as `recsys evaluate` prints them: "auc", "auc_low", ..., or "TASK.auc"."""
    model: str = ""
    """The name that runs share if they differ only in their seed; they have one colour. Default: the name."""
    epochs: Sequence[Mapping[str, float]] = ()
    """Figures of the epochs; empty for a model from elsewhere."""
    slices: "pl.DataFrame | None" = None
    """The frame of `recsys.judging.slices.slices`: worst first."""
    importance: "pl.DataFrame | None" = None
    """The frame of `recsys.judging.importance.importance`."""
    about: str = ""
    """The rows in words, such as "test split"."""
    uncalibrated: "Mapping[str, Predictions]" = field(default_factory=dict)
    """The predictions before the calibration that was fitted on validation rows, if there is one."""
    figures_before: Mapping[str, float] = field(default_factory=dict)
    """Figures of the uncalibrated predictions, by the names of `metrics`."""
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Key and value by section: the configuration, the data, versions and machine."""


class Compared(NamedTuple):
    """The difference between two of the runs."""

    first: str
    """Names as readers know them."""
    second: str
    verdicts: "Sequence[Verdict]"
    """One for each metric, the one that decides first."""
    slices: "pl.DataFrame | None" = None
    """The frame of `recsys.judging.paired_slices.paired_slices`: the difference on each slice."""
