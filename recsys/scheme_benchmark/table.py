"""From results of cells to lines of the report: means over seeds, and differences between schemes.

Dimension key: B rows of the split that is reported.
"""

from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

import numpy as np
import polars as pl

from recsys.evaluation import AucDifference, auc_difference
from recsys.run_folder import RunFolder
from recsys.scheme_benchmark.grid import Entry, Grid
from recsys.scheme_benchmark.result import Result, run_folder
from recsys.scheme_benchmark.statistics import Z95, Estimate, estimate

__all__ = ["Comparison", "Line"]


class Line(NamedTuple):
    """One trained scheme: the means over its seeds."""

    scheme: str
    results: list[Result]
    """Of the seeds that are done."""
    auc: Estimate
    logloss: float
    serving_bytes: float
    rows_per_second: float
    lookup_ms: float
    best_epoch: float


class Comparison:
    """The results of a grid, as far as there are any.

    Args:
        folder: of the comparison.
        grid: what it is made of.
        results: by the name of the cell.
        split: whose predictions are held against each other.
    """

    def __init__(self, folder: Path, grid: Grid, results: dict[str, Result], *, split: str) -> None:
        self.folder = folder
        self.grid = grid
        self.results = results
        self.split = split
        self._paired = cache(self._pair)

    def of(self, entry: Entry) -> list[Result]:
        """Return the results of an entry that ended well, by seed."""
        found = [self.results.get(cell.name) for cell in entry.cells(self.grid.seeds)]
        return [result for result in found if result is not None and result.status == "done"]

    def line(self, entry: Entry) -> Line | None:
        """Return the means of an entry; None where no seed is done."""
        results = self.of(entry)
        if not results:
            return None
        return Line(
            scheme=entry.variant,
            results=results,
            auc=estimate(given(r.auc for r in results), sampling_of_auc(results)),
            logloss=fmean(given(r.logloss for r in results)),
            serving_bytes=fmean(given(r.serving_bytes for r in results)),
            rows_per_second=fmean(given(r.rows_per_second for r in results)),
            lookup_ms=fmean(given(r.lookup_ms for r in results)),
            best_epoch=fmean(given(r.best_epoch for r in results)),
        )

    def lines(self, budget: str | None) -> list[Line]:
        """Return what was trained for a budget, the best AUC first."""
        found = [self.line(entry) for entry in self.grid.entries if entry.budget == budget]
        return sorted((line for line in found if line is not None), key=lambda line: -line.auc.value)

    def full(self) -> Line | None:
        """Return the full table; None where it is not part of the comparison, or not done."""
        return next(iter(self.lines(None)), None)

    def difference(self, first: Line, second: Line) -> Estimate | None:
        """Return the AUC of one line minus that of another over the seeds of both; None if they have none together."""
        if first.scheme == second.scheme:
            return None
        pairs = [(a, b) for a in first.results for b in second.results if a.seed == b.seed]
        if not pairs:
            return None
        values = [(a.auc or 0.0) - (b.auc or 0.0) for a, b in pairs]
        paired = [self._paired(a.cell, b.cell) for a, b in pairs]
        return estimate(values, [one for one in paired if one is not None] if None not in paired else None)

    def _pair(self, first: str, second: str) -> float | None:
        """Return the sampling variance of the difference of two cells; None where rows are weighted."""
        tables = [
            pl.read_parquet(RunFolder(run_folder(self.folder, cell)).predictions(self.split))
            for cell in (first, second)
        ]
        return sampling_of_difference(*tables)


def sampling_of_auc(results: Sequence[Result]) -> list[float] | None:
    """Return the variance of each AUC by its interval; None where there are none."""
    ends = [(r.auc_low, r.auc_high) for r in results if r.auc_low is not None and r.auc_high is not None]
    return [((high - low) / 2 / Z95) ** 2 for low, high in ends] if len(ends) == len(results) else None


def sampling_of_difference(first: pl.DataFrame, second: pl.DataFrame) -> float | None:
    """Return the variance of the difference of the AUCs of two models' predictions (B rows) by DeLong's paired test.

    That of a mean over tasks is at most the square of the mean standard error, which is what several tasks get.
    None where DeLong's method does not apply: weighted rows, labels between 0 and 1, fewer than two rows of a class.
    """
    if "weight" in first.columns:
        return None
    errors = []
    for label in (column for column in first.columns if column.startswith("label")):
        labels = first[label].to_numpy()
        if not np.isin(labels, (0, 1)).all():
            return None
        score = label.replace("label", "score", 1)
        errors.append(standard_error(auc_difference(first[score].to_numpy(), second[score].to_numpy(), labels)))
    mean = fmean(errors)
    return None if np.isnan(mean) else mean**2


def standard_error(found: AucDifference) -> float:
    """Return the standard error that an interval was made of; DeLong's are cut at 1 and -1, which none here reaches."""
    return (found.high - found.low) / 2 / Z95


def given(values: Iterable[float | None]) -> list[float]:
    """Return the values of results that ended well, which all have them."""
    return [value for value in values if value is not None]
