"""How two checkpoints differ, tensor by tensor; both are read piece by piece."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from recsys.checkpoint.layout import readable
from recsys.checkpoint.reader import CheckpointReader

__all__ = ["Difference", "differences"]


@dataclass(frozen=True, slots=True)
class Difference:
    """A tensor that is not the same in both."""

    name: str
    first: str | None
    """Size and dtype; None: it is only in the second."""
    second: str | None
    largest: float | None = None
    """Absolute difference of values, infinite where only one is a number; None where size or dtype differ."""
    rows: float | None = None
    """Share of the rows in which values differ."""


def differences(first: Path, second: Path) -> Iterator[Difference]:
    """Compare the models and the states of both optimisers in two checkpoints; not random states and times.

    Raises:
        DataError: one of them is damaged.
    """
    one, other = CheckpointReader(first), CheckpointReader(second)
    for name in {**one.kinds, **other.kinds}:
        kind, other_kind = _kind(one, name), _kind(other, name)
        if kind != other_kind:
            yield Difference(readable(name), kind, other_kind)
            continue
        largest, rows = _compare(name, one, other)
        if largest > 0:
            yield Difference(readable(name), kind, other_kind, largest, rows)


def _kind(source: CheckpointReader, name: str) -> str | None:
    if name not in source.kinds:
        return None
    size, dtype = source.kinds[name]
    return f"{' x '.join(f'{n:,}' for n in size)} {dtype}".replace("torch.", "").strip()


def _compare(name: str, one: CheckpointReader, other: CheckpointReader) -> tuple[float, float]:
    """Return the largest difference of the values and the share of rows that differ."""
    size, _ = one.kinds[name]
    differs = torch.zeros(size[0] if size else 1, dtype=torch.bool)
    largest = 0.0
    for offsets, values in one.pieces(name):
        far = _distance(values, other.region(name, offsets, tuple(values.shape)))
        if far.numel():
            by_row = far.reshape(len(far) if size else 1, -1).amax(dim=1)
            largest = max(largest, float(by_row.max()))
            first = offsets[0] if size else 0
            differs[first : first + len(by_row)] |= by_row > 0
    return largest, float(differs.double().mean()) if largest else 0.0


def _distance(one: Tensor, other: Tensor) -> Tensor:
    """Return absolute differences; infinite where only one is a number, 0 where none is."""
    same = (one == other) | (one.isnan() & other.isnan())
    far = one.double().sub_(other.double()).abs_()
    return far.nan_to_num_(nan=torch.inf, posinf=torch.inf).masked_fill_(same, 0.0)
