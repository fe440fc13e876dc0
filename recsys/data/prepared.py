"""What a prepared folder holds: the plan, the fitted state and the Arrow files of each split."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class PreparedSplit:
    """The prepared rows of one split, in order.

    Attributes:
        files: Arrow IPC files, read one after another; record batches of 16,384 rows except each file's last.
        num_rows: rows in all files together.
        positives: task -> sum of its labels (the number of positive rows where labels are 0 and 1).
    """

    files: tuple[Path, ...]
    num_rows: int
    positives: dict[str, float]
