"""The difference between models on slices: which rows make one better, and the lines that say so."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import polars as pl

from recsys.evaluation.metrics import metric_label
from recsys.evaluation.predictions import ScoreColumns
from recsys.judging.compare_runs import Comparison
from recsys.judging.contenders import Contender
from recsys.judging.groupings import Grouping
from recsys.judging.paired_slices import PAIRED_METRICS, paired_slices
from recsys.judging.raw_columns import columns_beside_scores, columns_of_split
from recsys.judging.slices import groupings_of
from recsys.progress import OnProgress, no_progress
from recsys.run_folder import RunFolder

if TYPE_CHECKING:
    from recsys.judging.groupings import RawColumn

__all__ = ["describe_slices", "slices_of_comparison"]

MOST_SHOWN = 20
"""Slices that are printed; a report has all."""


def slices_of_comparison(
    comparison: Comparison,
    by: Sequence[str],
    *,
    split: Literal["test", "valid"],
    columns: ScoreColumns,
    data_dir: Path | None = None,
    on_progress: OnProgress = no_progress,
) -> list[pl.DataFrame]:
    """Return the differences of the best model to each other one on the slices that some columns make.

    The columns are read from the raw files of a run; where only files are compared, they stand in the best one.

    Args:
        comparison: the models.
        by: names of columns, or globs of them.
        split: the rows of runs.
        columns: columns of files that are no columns to look at.
        data_dir: folder of the raw files. Default: where they lay in training.
        on_progress: called as rows are read.

    Returns:
        A table of `paired_slices` for each other model, in their order; with several tasks it begins with `task`.

    Raises:
        DataError: the raw files are gone or have changed, or there is no such column.
    """
    found = _columns(comparison.contenders, by, split, columns, data_dir, on_progress)
    groupings = groupings_of(found, comparison.num_rows)
    best, *others = comparison.contenders
    return [_of_tasks(best, other, groupings) for other in others]


def _columns(
    contenders: Sequence[Contender],
    by: Sequence[str],
    split: Literal["test", "valid"],
    columns: ScoreColumns,
    data_dir: Path | None,
    on_progress: OnProgress,
) -> "dict[str, RawColumn]":
    for one in contenders:
        if one.paths[0].is_dir():
            run = RunFolder(one.paths[0])
            return columns_of_split(run, split, by, one.seeds[0], data_dir=data_dir, on_progress=on_progress)
    first = contenders[0]
    return columns_beside_scores(first.paths[0], by, but=columns.not_sliced(first.seeds[0]), on_progress=on_progress)


def _of_tasks(first: Contender, second: Contender, groupings: Sequence[Grouping]) -> pl.DataFrame:
    tasks = list(first.seeds[0])
    tables = [
        paired_slices([seed[task] for seed in first.seeds], [seed[task] for seed in second.seeds], groupings).select(
            pl.lit(task).alias("task"), pl.all()
        )
        for task in tasks
    ]
    return tables[0].drop("task") if len(tasks) == 1 else pl.concat(tables)


def describe_slices(first: str, second: str, table: pl.DataFrame, metric: str) -> str:
    """Return on how many slices the first model is better or worse, and those with the least p value.

    Args:
        first: name of the first model.
        second: name of the second.
        table: that of `paired_slices`.
        metric: the metric that is counted, if it is one of `PAIRED_METRICS`; else the AUC.
    """
    name = metric if metric in PAIRED_METRICS else PAIRED_METRICS[0]
    words = table[f"{name}_verdict"].to_list()
    head = (
        f"{first} - {second} on {len(table):,} slices, by {metric_label(name)}: better on {words.count('better')}, "
        f"worse on {words.count('worse')}, not to be told apart on the others (corrected for all slices, Holm)"
    )
    rest = len(table) - MOST_SHOWN
    tail = [f"... and {rest:,} more: --json has all"] if rest > 0 else []
    return "\n".join([head, "", *_lines(table.head(MOST_SHOWN)), *tail])


def _lines(table: pl.DataFrame) -> list[str]:
    from recsys.judging.compare_text import aligned

    keys = [name for name in ("task", "column", "by", "slice") if name in table.columns]
    rows = [[*keys, "rows", *(word for name in PAIRED_METRICS for word in (metric_label(name), "verdict"))]]
    for row in table.iter_rows(named=True):
        figures = [word for name in PAIRED_METRICS for word in (_figure(row, name), _word(row[f"{name}_verdict"]))]
        rows.append([*(str(row[key]) for key in keys), f"{row['rows']:,}", *figures])
    return aligned(rows).splitlines()


def _figure(row: dict[str, float | None], name: str) -> str:
    value, low, high = (row[key] for key in (name, f"{name}_low", f"{name}_high"))
    if value is None:
        return "-"
    ends = "" if low is None or high is None else f" ({low:+.4f} to {high:+.4f})"
    return f"{value:+.4f}{ends}"


def _word(verdict: str) -> str:
    return "" if verdict == "undecided" else verdict
