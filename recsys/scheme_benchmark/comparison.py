"""Figures of schemes, computed from the results of cells: means over seeds, and differences between schemes.

Dimension key: B rows of the split that is reported.
"""

from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

import polars as pl

from recsys.evaluation.intervals import Z95
from recsys.evaluation.paired import predictions_difference, standard_error
from recsys.evaluation.seeds import Estimate, estimate
from recsys.run_folder import RunFolder
from recsys.scheme_benchmark.grid import Grid, GridEntry
from recsys.scheme_benchmark.result import Result, run_folder

__all__ = ["Comparison", "SchemeSummary"]


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
        self._paired = cache(self._paired_variance)

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
        """Return the AUC of one scheme minus that of another, paired by seed; None if they have no seed in common."""
        if first.scheme == second.scheme:
            return None
        pairs = [(a, b) for a in first.results for b in second.results if a.seed == b.seed]
        if not pairs:
            return None
        values = [(a.auc or 0.0) - (b.auc or 0.0) for a, b in pairs]
        paired = [self._paired(a.cell, b.cell) for a, b in pairs]
        known = [one for one in paired if one is not None]
        return estimate(values, rows=fmean(known) if len(known) == len(paired) else None)

    def _paired_variance(self, first: str, second: str) -> float | None:
        """Return the sampling variance of the difference of two cells; None if rows are weighted."""
        tables = [
            pl.read_parquet(RunFolder(run_folder(self.folder, cell)).predictions(self.split))
            for cell in (first, second)
        ]
        found = predictions_difference(*tables)
        return None if found is None else standard_error(found) ** 2


def sampling_of_auc(results: Sequence[Result]) -> float | None:
    """Return the mean variance of the AUCs, computed from their intervals; None if a result has no interval."""
    ends = [(r.auc_low, r.auc_high) for r in results if r.auc_low is not None and r.auc_high is not None]
    return fmean(((high - low) / 2 / Z95) ** 2 for low, high in ends) if len(ends) == len(results) else None


def given(values: Iterable[float | None]) -> list[float]:
    """Return the values that are not None; results that did not fail have all of them."""
    return [value for value in values if value is not None]
