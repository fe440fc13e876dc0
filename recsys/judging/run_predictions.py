"""The predictions that a training has left in a run."""

from pathlib import Path
from typing import Literal

from recsys.checksums import verify
from recsys.errors import DataError
from recsys.evaluation.predictions import Predictions, read_predictions
from recsys.run_folder import RunFolder

__all__ = ["predictions_of_run"]

SPLITS = ("test", "valid")
"""Splits that a run leaves predictions of."""


def predictions_of_run(folder: Path, split: Literal["test", "valid"]) -> dict[str, Predictions]:
    """Read the predictions that training has left of a split, by task; that of the only task is "".

    Args:
        folder: the folder of the run.
        split: the split.

    Raises:
        DataError: the folder is not that of a run, which has no predictions of this split, or they are damaged.
    """
    run = RunFolder(folder)
    run.require_run()
    path = run.predictions(split)
    if not path.exists():
        raise DataError(f"{folder}: has no predictions of the {split} split{_why_none(run, split)}")
    remedy = "train the run again, or score its data anew with `recsys evaluate --out`"
    return read_predictions(verify(path, remedy=remedy))


def _why_none(run: RunFolder, split: str) -> str:
    if not run.metrics.exists():
        return f": its training has not come to its end; recsys train CONFIG --resume {run.path}"
    others = [other for other in SPLITS if other != split and run.predictions(other).exists()]
    return f", but of the {others[0]} split: --split {others[0]}" if others else "; train the run again"
