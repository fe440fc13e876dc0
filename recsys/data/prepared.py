"""A prepared folder: the fitted state and the rows of each split as Arrow IPC files."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from recsys.checksums import inside, read_json, write_checksums
from recsys.config.resolved import ResolvedConfig
from recsys.data.classes import ClassCounts, ClassWeights
from recsys.data.part_file import PartWriter
from recsys.data.splits import SplitName
from recsys.errors import DataError
from recsys.features.coverage import Coverage
from recsys.features.state import TransformState

__all__ = ["BATCH_ROWS", "Prepared", "PreparedSplit", "SplitWriter", "read_manifest", "write_manifest"]

BATCH_ROWS = 16_384
"""Rows of one Arrow record batch."""
_PART_BATCHES = 256
_VERSION = 2
_MANIFEST = "manifest.json"


@dataclass(frozen=True, slots=True)
class PreparedSplit:
    """The prepared rows of one split, in order.

    Attributes:
        files: Arrow IPC files, read one after another; all record batches but the last one of the split have
            `BATCH_ROWS` rows. No files if there are no rows.
        num_rows: rows in all files together.
        positives: task -> sum of its labels (the number of positive rows where labels are 0 and 1).
        weights: task -> weight of its classes; empty if rows have no weights.
        coverage: feature -> how many of its values are unknown or missing; empty if there are no rows.
        left_out: negatives of the raw files that are in no split, since `data.negative_rate` leaves them out.
    """

    files: tuple[Path, ...]
    num_rows: int
    positives: dict[str, float]
    weights: dict[str, ClassWeights] = field(default_factory=dict)
    coverage: dict[str, Coverage] = field(default_factory=dict)
    left_out: int = 0

    @property
    def mean_weight(self) -> float:
        """Mean weight of the rows; 1 if they have no weights."""
        of_task = next(iter(self.weights.values()), None)
        return 1.0 if of_task is None else sum(of_task) / max(self.num_rows, 1)


@dataclass(frozen=True, slots=True)
class Prepared:
    """Everything training needs to know of the data.

    Attributes:
        resolved: resolved for the columns of the data.
        state: fitted on the training split.
        splits: "train" always; "valid" and "test" if there are such files or they were cut from the training files.
        folder: the prepared folder.
        content: a key of the content of the raw files and of how they are prepared; None if an earlier version made it.
    """

    resolved: ResolvedConfig
    state: TransformState
    splits: dict[SplitName, PreparedSplit]
    folder: Path
    content: str | None = None

    def is_from(self, facts: Mapping[str, Any]) -> bool:
        """Return whether a run that wrote down `facts` had the same data, wherever they lay then."""
        return facts["prepared"] == self.folder.name or facts.get("content") == (self.content or "unknown")

    def origin(self) -> dict[str, str | None]:
        """Return what a run writes down, so that it can be resumed with the same data only."""
        return {"prepared": self.folder.name, "content": self.content}


class SplitWriter:
    """Writes rows as record batches of `BATCH_ROWS` rows in files part-00000.arrow, part-00001.arrow, ..."""

    def __init__(self, folder: Path, schema: pa.Schema) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        self.schema = schema
        self.files: list[Path] = []
        self.counts = ClassCounts(schema)
        self._held: list[pa.RecordBatch] = []
        self._num_held = 0
        self._num_batches = 0
        self._writer: PartWriter | None = None
        self._ends: dict[str, list[int]] = {}

    def write(self, batch: pa.RecordBatch) -> None:
        """Append rows."""
        self.counts.add(batch)
        self._held.append(batch)
        self._num_held += batch.num_rows
        if self._num_held >= BATCH_ROWS:
            self._flush(self._num_held - self._num_held % BATCH_ROWS)

    def close(self, coverage: dict[str, Coverage] | None = None) -> PreparedSplit:
        """Write what is left, and return the split with what was counted of its features; no further `write`."""
        if self._num_held:
            self._flush(self._num_held)
        self._close_file()
        write_checksums(self.folder, [], parts=self._ends)
        of = self.counts
        return PreparedSplit(tuple(self.files), of.num_rows, of.positives, of.weights, coverage or {})

    def _flush(self, num_rows: int) -> None:
        joined = self._held[0] if len(self._held) == 1 else pa.concat_batches(self._held)
        for start in range(0, num_rows, BATCH_ROWS):
            if self._num_batches % _PART_BATCHES == 0:
                self._next_file()
            self._num_batches += 1
            assert self._writer is not None
            self._writer.write(joined.slice(start, min(BATCH_ROWS, num_rows - start)))
        self._num_held -= num_rows
        self._held = [joined.slice(num_rows)] if self._num_held else []

    def _close_file(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._ends[self._writer.path.name] = self._writer.ends

    def _next_file(self) -> None:
        self._close_file()
        self.files.append(self.folder / f"part-{len(self.files):05d}.arrow")
        self._writer = PartWriter(self.files[-1], self.schema)


def write_manifest(folder: Path, splits: dict[SplitName, PreparedSplit]) -> None:
    """Write the last file of a prepared folder: the splits, and what their files must be to be whole."""
    facts = {
        "version": _VERSION,
        "splits": {
            name: {
                "num_rows": split.num_rows,
                "positives": split.positives,
                "weights": split.weights,
                "coverage": {name: asdict(coverage) for name, coverage in split.coverage.items()},
                "files": {str(file.relative_to(folder)): file.stat().st_size for file in split.files},
                **({"left_out": split.left_out} if split.left_out else {}),
            }
            for name, split in splits.items()
        },
    }
    (folder / _MANIFEST).write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    write_checksums(folder, [_MANIFEST])


def read_manifest(folder: Path) -> dict[SplitName, PreparedSplit] | None:
    """Return the splits of a prepared folder, None if it is not there, not whole, or of another version."""
    try:
        facts = read_json(folder / _MANIFEST, remedy="delete it")
        if facts["version"] != _VERSION:
            return None
        return {name: _split(folder, split) for name, split in facts["splits"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, DataError):
        return None


def _file(folder: Path, name: str) -> Path:
    split, file = name.split("/")
    return inside(folder / inside(folder, split).name, file)


def _split(folder: Path, facts: dict[str, Any]) -> PreparedSplit:
    for name, size in facts["files"].items():
        if _file(folder, name).stat().st_size != size:
            raise ValueError(f"{name} is not whole")
    files = tuple(_file(folder, name) for name in facts["files"])
    weights = {task: ClassWeights(*of_task) for task, of_task in facts["weights"].items()}
    coverage = {name: Coverage(**counts) for name, counts in facts["coverage"].items()}
    return PreparedSplit(files, facts["num_rows"], facts["positives"], weights, coverage, facts.get("left_out", 0))
