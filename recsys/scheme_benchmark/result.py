"""The result of one cell, cells/NAME.json; a cell is done if and only if this file exists."""

import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from recsys.checksums import CHECKSUMS, read_json, with_checksum, without_checksum
from recsys.files import with_nan, write_json

__all__ = ["Result", "cell_log", "read_result", "result_path", "run_folder", "delete_large_files", "write_result"]

_REMEDY = "delete it, and the cell is trained again"
KEPT = ("config.yaml", "data.json", "environment.json", CHECKSUMS, "metrics.json", "metrics.jsonl", "predictions")
"""Files of a run folder that are kept; the rest is large, and training makes it again."""

FORMER_KEYS = {"knob": "size_param", "value": "size_value"}
"""Keys of result files of former versions."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """The figures of one training, or why there are none."""

    cell: str
    scheme: str
    """Name of the variant."""
    size_param: str | None
    """Key of the table's section that sets its size; None if the scheme has one size."""
    size_value: float | None
    """Value of that key, computed from the budget."""
    seed: int
    status: Literal["done", "failed"] = "done"
    reason: str | None = None
    """Reason why it failed."""
    retry: bool = False
    """Whether another attempt may succeed: the process was killed, or memory ran out."""
    auc: float | None = None
    """AUC on the reported split, of the epoch that was best on the validation split."""
    auc_low: float | None = None
    """Lower end of the 95 % interval; None where the rows are too few for one."""
    auc_high: float | None = None
    logloss: float | None = None
    other_metrics: dict[str, float] = field(default_factory=dict)
    """The other metrics that reports show, by name."""
    best_epoch: int | None = None
    epochs: int | None = None
    training_bytes: int | None = None
    """Bytes of weights, codes and maps, with the optimizer's state."""
    checkpoint_bytes: int | None = None
    serving_bytes: int | None = None
    """Bytes of the exported form, to which the budget applies."""
    full_bytes: int | None = None
    """Bytes of a table with a row for each id."""
    rows_per_second: float | None = None
    """Training rate."""
    seconds: float | None = None
    """Duration of the training."""
    lookup_ms: float | None = None
    """Median milliseconds of the exported form for the ids of 4,096 rows, on one thread."""


def run_folder(folder: Path, cell: str) -> Path:
    """Return the run folder of a cell."""
    return folder / "cells" / cell / "run"


def cell_log(folder: Path, cell: str) -> Path:
    """Return the file with everything that a cell prints."""
    return folder / "cells" / cell / "log.txt"


def result_path(folder: Path, cell: str) -> Path:
    """Return the file with the result of a cell."""
    return folder / "cells" / f"{cell}.json"


def read_result(folder: Path, cell: str) -> Result | None:
    """Return the result of a cell, None if the cell is not done; files with former names of keys are read too."""
    path = result_path(folder, cell)
    if not path.exists():
        return None
    facts = without_checksum(read_json(path, remedy=_REMEDY), path, remedy=_REMEDY)
    facts = {FORMER_KEYS.get(key, key): value for key, value in facts.items()}
    return Result(**facts | {"other_metrics": with_nan(facts.get("other_metrics", {}))})


def write_result(folder: Path, result: Result) -> None:
    """Write the result of a cell, whole or not at all."""
    path = result_path(folder, result.cell)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, with_checksum(asdict(result)))


def delete_large_files(run: Path, *, split: str) -> None:
    """Delete what is large in a run folder: checkpoints, vocabularies, predictions of other splits than `split`."""
    if not run.exists():
        return
    for path in (*run.iterdir(), *run.glob("predictions/*")):
        if path.name in (*KEPT, f"{split}.parquet"):
            continue
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
