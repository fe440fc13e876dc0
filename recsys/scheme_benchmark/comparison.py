"""Figures of schemes, computed from the results of cells: means over seeds, and differences between schemes.

Dimension key: B rows of the split that is reported.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

from recsys.evaluation.intervals import Z95
from recsys.evaluation.paired import Figure, difference_of, figure_of
from recsys.evaluation.predictions import read_predictions
from recsys.evaluation.seeds import Estimate, estimate
from recsys.run_folder import RunFolder
from recsys.scheme_benchmark.grid import Grid, GridEntry
from recsys.scheme_benchmark.result import Result, run_folder

__all__ = ["Comparison", "SchemeSummary"]

MOST_FIGURES = 16
"""Schemes whose influence values are kept: a number for each row."""


class SchemeSummary(NamedTuple):
    """The figures of one scheme at one size: means over its seeds."""

    scheme: str
    """Name of the `Variant`."""
    results: list[Result]
    """One for each seed that is done."""
    auc: Estimate
    logloss: float
    other_metrics: dict[str, float]
    """The other metrics that reports show, by name."""
    serving_bytes: float
    rows_per_second: float
    lookup_ms: float
    best_epoch: float


class Comparison:
    """The results of a grid, complete or not.

    Args:
        folder: folder of the comparison.
        grid: the schemes, budgets and seeds.
        results: results by the name of the cell; missing ones may be added later.
        split: the split whose predictions are compared.
    """

    def __init__(self, folder: Path, grid: Grid, results: dict[str, Result], *, split: str) -> None:
        self.folder = folder
        self.grid = grid
        self.results = results
        self.split = split
        self._influence = lru_cache(maxsize=MOST_FIGURES)(self._influence_of)

    def results_of(self, entry: GridEntry) -> list[Result]:
        """Return the results of the seeds that did not fail."""
        found = [self.results.get(cell.name) for cell in entry.cells(self.grid.seeds)]
        return [result for result in found if result is not None and result.status == "done"]

    def summarize(self, entry: GridEntry) -> SchemeSummary | None:
        """Return the means over seeds; None if no seed is done."""
        results = self.results_of(entry)
        if not results:
            return None
        return SchemeSummary(
            scheme=entry.variant,
            results=results,
            auc=estimate(given(r.auc for r in results), rows=sampling_of_auc(results)),
            logloss=fmean(given(r.logloss for r in results)),
            other_metrics={
                name: fmean(given(r.other_metrics.get(name) for r in results)) for name in results[0].other_metrics
            },
            serving_bytes=fmean(given(r.serving_bytes for r in results)),
            rows_per_second=fmean(given(r.rows_per_second for r in results)),
            lookup_ms=fmean(given(r.lookup_ms for r in results)),
            best_epoch=fmean(given(r.best_epoch for r in results)),
        )

    def summaries(self, budget: str | None) -> list[SchemeSummary]:
        """Return the schemes that were trained for a budget, the best AUC first."""
        found = [self.summarize(entry) for entry in self.grid.entries if entry.budget == budget]
        return sorted((summary for summary in found if summary is not None), key=lambda summary: -summary.auc.value)

    def full(self) -> SchemeSummary | None:
        """Return the full table; None if it is not part of the comparison, or not done."""
        return next(iter(self.summaries(None)), None)

    def difference(self, first: SchemeSummary, second: SchemeSummary) -> Estimate | None:
        """Return the AUC of one scheme minus that of another on the same rows; None if they are the same scheme."""
        if first.scheme == second.scheme:
            return None
        return difference_of(self._figure(first), self._figure(second))

    def num_rows(self, summary: SchemeSummary) -> int:
        """Return the number of rows that a scheme was evaluated on, which is that of all."""
        return len(self._figure(summary).influence)

    def _figure(self, summary: SchemeSummary) -> Figure:
        """Return the AUCs of a scheme, and how much each row moves them."""
        found = self._influence(tuple(result.cell for result in summary.results))
        return replace(found, values=tuple(given(result.auc for result in summary.results)))

    def _influence_of(self, cells: tuple[str, ...]) -> Figure:
        runs = [RunFolder(run_folder(self.folder, cell)) for cell in cells]
        return figure_of([read_predictions(run.predictions(self.split)) for run in runs], "auc")


def sampling_of_auc(results: Sequence[Result]) -> float | None:
    """Return the mean variance of the AUCs, computed from their intervals; None if a result has no interval."""
    ends = [(r.auc_low, r.auc_high) for r in results if r.auc_low is not None and r.auc_high is not None]
    return fmean(((high - low) / 2 / Z95) ** 2 for low, high in ends) if len(ends) == len(results) else None


def given(values: Iterable[float | None]) -> list[float]:
    """Return the values that are not None; results that did not fail have all of them."""
    return [value for value in values if value is not None]
