"""Predictions with figures and slices: of a run's own split, of files that it scores, or of the scores of any model."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from recsys.evaluation.predictions import Predictions, ScoreColumns, read_predictions
from recsys.evaluation.summary import evaluate_tasks
from recsys.files import scratch_folder
from recsys.judging.raw_columns import columns_beside_scores, columns_of_files, columns_of_split, require_columns
from recsys.judging.run_predictions import predictions_of_run
from recsys.judging.slices import slices_of_tasks
from recsys.progress import OnProgress, no_log, no_progress
from recsys.run_folder import RunFolder

if TYPE_CHECKING:
    import polars as pl

    from recsys.config import DataSection
    from recsys.judging.groupings import RawColumn

__all__ = ["Evaluated", "evaluate_run_files", "evaluate_scores", "evaluate_split"]


@dataclass(frozen=True, slots=True, eq=False)
class Evaluated:
    """Predictions of some rows, and what is to be said of them."""

    predictions: Mapping[str, Predictions]
    """Predictions of each task by its name; that of the only task is ""."""
    metrics: dict[str, float]
    slices: "pl.DataFrame | None"
    """The table of `slices`, which with several tasks begins with a column `task`; None if nobody asked for it."""
    about: str
    """Words on what the rows are, such as "test split"."""


def evaluate_split(
    folder: Path,
    *,
    split: Literal["test", "valid"] = "test",
    by: Sequence[str] = (),
    data_dir: Path | None = None,
    on_progress: OnProgress = no_progress,
) -> Evaluated:
    """Evaluate the predictions that training has left in a run.

    Args:
        folder: the folder of the run.
        split: the split.
        by: columns of the raw files to slice by, or globs of them; they need not be features.
        data_dir: folder of the raw files. Default: where they lay in training.
        on_progress: called as columns are read.

    Raises:
        DataError: the run has no predictions, its raw files are gone or have changed, or there is no such column.
    """
    predictions = predictions_of_run(folder, split)
    columns = None
    if by:
        run = RunFolder(folder)
        columns = columns_of_split(run, split, by, predictions, data_dir=data_dir, on_progress=on_progress)
    return _evaluated(predictions, columns, f"{split} split")


def evaluate_run_files(
    folder: Path,
    paths: Sequence[str],
    *,
    by: Sequence[str] = (),
    out: Path | None = None,
    device: str | None = None,
    section: "DataSection | None" = None,
    on_progress: OnProgress = no_progress,
    log: Callable[[str], None] = no_log,
) -> Evaluated:
    """Score files with the best epoch of a run, and evaluate them.

    Args:
        folder: the folder of the run.
        paths: paths or globs of files with the label column.
        by: columns of the files to slice by, or globs of them.
        out: new parquet file for label, score, weight and group of each row.
        device: "cpu" or "cuda". Default: CUDA where there is a device.
        section: how to read the files. Default: as in training.
        on_progress: called as rows are prepared and scored, and columns read.
        log: called with lines about features that have many unknown or missing values.

    Raises:
        DataError: the files do not hold the columns that the run was trained on, or one to slice by.
    """
    from recsys.training.evaluate import evaluate_files  # not at the top: a file of scores needs no torch

    run = RunFolder(folder)
    run.require_run()
    if by:
        require_columns(run, paths, by, section=section)  # before anything is scored
    with scratch_folder() as scratch:
        scores = scratch / "scores.parquet" if out is None else out
        metrics = evaluate_files(
            folder, paths, out=scores, device=device, on_progress=on_progress, log=log, section=section
        )
        predictions = read_predictions(scores)
    columns = None
    if by:
        columns = columns_of_files(run, paths, by, predictions, section=section, on_progress=on_progress)
    return _evaluated(predictions, columns, ", ".join(paths), metrics)


def evaluate_scores(
    path: Path,
    *,
    by: Sequence[str] = (),
    columns: ScoreColumns = ScoreColumns(),  # noqa: B008
    on_progress: OnProgress = no_progress,
) -> Evaluated:
    """Evaluate a parquet file with a label and a score in each row, of whatever model.

    Args:
        path: the file.
        by: columns of the file to slice by, or globs of them.
        columns: names of its columns; with several tasks they are LABEL.TASK and SCORE.TASK. Scores are probabilities.
        on_progress: called as columns are read.

    Raises:
        DataError: the file cannot be read, a column is not there, or a value in it makes no sense.
    """
    predictions = read_predictions(path, **columns._asdict())
    for of_task in predictions.values():
        of_task.require_probabilities()
    found = None
    if by:
        found = columns_beside_scores(path, by, but=columns.not_sliced(predictions), on_progress=on_progress)
    return _evaluated(predictions, found, str(path))


def _evaluated(
    predictions: Mapping[str, Predictions],
    columns: "Mapping[str, RawColumn] | None",
    about: str,
    metrics: dict[str, float] | None = None,
) -> Evaluated:
    table = None if columns is None else slices_of_tasks(predictions, columns)
    if table is not None and len(predictions) == 1:
        table = table.drop("task")
    return Evaluated(predictions, evaluate_tasks(predictions) if metrics is None else metrics, table, about)
