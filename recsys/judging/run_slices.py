"""Slices of what a run, or any model, has predicted: predictions and raw columns brought together."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl

from recsys.checksums import verify
from recsys.config import DataSection
from recsys.data.splits import SplitName
from recsys.errors import DataError
from recsys.evaluation.predictions import Predictions, read_predictions
from recsys.judging.groupings import RawColumn
from recsys.judging.raw_columns import columns_beside_scores, columns_of_files, columns_of_split
from recsys.judging.slices import slices_of_tasks
from recsys.progress import OnProgress, no_progress
from recsys.run_folder import RunFolder

__all__ = ["slices_of_files", "slices_of_scores", "slices_of_split"]

_REMEDY = "train the run again, or name files to evaluate it on"


def slices_of_split(
    folder: Path,
    by: Sequence[str],
    *,
    split: SplitName = "test",
    data_dir: Path | None = None,
    on_progress: OnProgress = no_progress,
) -> pl.DataFrame:
    """Return the slices of a run's own predictions.

    Args:
        folder: the folder of the run.
        by: columns of its raw files, or globs of them; they need not be features.
        split: the split, of which the run has predictions.
        data_dir: folder of the raw files. Default: where they lay in training.
        on_progress: called as rows are read.

    Returns:
        The table of `slices`; with several tasks it begins with a column `task`.

    Raises:
        DataError: the run has no predictions, its raw files are gone or have changed, or there is no such column.
    """
    run = RunFolder(folder)
    run.require_run()
    path = run.predictions(split)
    if not path.exists():
        raise DataError(f"{path}: is not there: the run is not finished, or had no {split} rows; {_REMEDY}")
    predictions = read_predictions(verify(path, remedy=_REMEDY))
    columns = columns_of_split(run, split, by, predictions, data_dir=data_dir, on_progress=on_progress)
    return _table(predictions, columns)


def slices_of_files(
    folder: Path,
    scores: Path,
    paths: Sequence[str],
    by: Sequence[str],
    *,
    section: DataSection | None = None,
    on_progress: OnProgress = no_progress,
) -> pl.DataFrame:
    """Return the slices of files that a run has scored.

    Args:
        folder: the folder of the run.
        scores: the file that `Run.evaluate` has written for them.
        paths: paths or globs of the files.
        by: columns of the files, or globs of them.
        section: how to read the files. Default: as in training.
        on_progress: called as rows are read.

    Returns:
        As `slices_of_split`.

    Raises:
        DataError: there is no such column.
    """
    predictions = read_predictions(scores)
    columns = columns_of_files(RunFolder(folder), paths, by, predictions, section=section, on_progress=on_progress)
    return _table(predictions, columns)


def slices_of_scores(
    path: Path,
    by: Sequence[str],
    *,
    label: str = "label",
    score: str = "score",
    weight: str = "weight",
    group: str = "group",
    on_progress: OnProgress = no_progress,
) -> pl.DataFrame:
    """Return the slices of a parquet file with labels and scores, of whatever model.

    Args:
        path: the file.
        by: columns of the file, or globs of them.
        label: column of the labels.
        score: column of the scores.
        weight: column of weights.
        group: column of groups.
        on_progress: called as rows are read.

    Returns:
        As `slices_of_split`.

    Raises:
        DataError: the file cannot be read, a column is not there, or a value in it makes no sense.
    """
    predictions = read_predictions(path, label=label, score=score, weight=weight, group=group)
    of_tasks = [f"{name}.{task}" if task else name for name in (label, score) for task in predictions]
    return _table(predictions, columns_beside_scores(path, by, but=[*of_tasks, weight], on_progress=on_progress))


def _table(predictions: Mapping[str, Predictions], columns: Mapping[str, RawColumn]) -> pl.DataFrame:
    for of_task in predictions.values():
        of_task.require_probabilities()
    table = slices_of_tasks(predictions, columns)
    return table.drop("task") if len(predictions) == 1 else table
