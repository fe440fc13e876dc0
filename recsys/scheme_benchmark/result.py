"""What is known of one cell: cells/NAME.json. That the file is there says that the cell is done."""

import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from recsys.files import write_json

__all__ = ["Result", "cell_log", "read_result", "result_path", "run_folder", "tidy", "write_result"]

KEPT = ("config.yaml", "data.json", "environment.json", "metrics.json", "metrics.jsonl", "predictions")
"""Of a run folder; what is deleted is large, and is made again by training."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """The figures of one training, or why there are none."""

    cell: str
    scheme: str
    """Name of the variant."""
    knob: str | None
    """Key that sets the size of the table."""
    value: float | None
    """Of the knob, as solved from the budget."""
    seed: int
    status: Literal["done", "failed"] = "done"
    reason: str | None = None
    """Why it failed."""
    auc: float | None = None
    """Of the epoch that was best on the validation split, on the split that the comparison reports."""
    auc_low: float | None = None
    """The ends of the 95 % interval by DeLong's method, where rows have no weights."""
    auc_high: float | None = None
    logloss: float | None = None
    best_epoch: int | None = None
    epochs: int | None = None
    training_bytes: int | None = None
    """Of weights, codes and maps with the optimiser's state."""
    checkpoint_bytes: int | None = None
    serving_bytes: int | None = None
    """Of the form that is exported, which the budget is compared with."""
    full_bytes: int | None = None
    """Of a row for each id."""
    rows_per_second: float | None = None
    """While training."""
    seconds: float | None = None
    """Of training."""
    lookup_ms: float | None = None
    """Median time of the serving form for the ids of 4,096 rows, on one thread."""


def run_folder(folder: Path, cell: str) -> Path:
    """Return where a cell of a comparison is trained."""
    return folder / "cells" / cell / "run"


def cell_log(folder: Path, cell: str) -> Path:
    """Return where everything goes that a cell prints."""
    return folder / "cells" / cell / "log.txt"


def result_path(folder: Path, cell: str) -> Path:
    """Return where the result of a cell is."""
    return folder / "cells" / f"{cell}.json"


def read_result(folder: Path, cell: str) -> Result | None:
    """Return the result of a cell; None where it was not finished."""
    path = result_path(folder, cell)
    return Result(**json.loads(path.read_text())) if path.exists() else None


def write_result(folder: Path, result: Result) -> None:
    """Write a result, whole or not at all."""
    path = result_path(folder, result.cell)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, asdict(result))


def tidy(run: Path, *, split: str) -> None:
    """Delete what is large in a run folder: checkpoints, vocabularies, predictions for other splits than `split`."""
    if not run.exists():
        return
    for path in (*run.iterdir(), *run.glob("predictions/*")):
        if path.name in (*KEPT, f"{split}.parquet"):
            continue
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
