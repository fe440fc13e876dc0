"""The differences of two checkpoints, tensor by tensor; both are read chunk by chunk."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from recsys.checkpoint.reader import CheckpointReader
from recsys.checkpoint.tensor_names import present_name, readable_name

__all__ = ["Difference", "differences"]


@dataclass(frozen=True, slots=True)
class Difference:
    """A tensor that is not the same in two checkpoints."""

    name: str
    """Name as users call it, such as "table user_table"."""
    first: str | None
    """Shape and dtype in the first checkpoint; None if it is only in the second."""
    second: str | None
    """Shape and dtype in the second checkpoint; None if it is only in the first."""
    largest: float | None = None
    """Largest absolute difference, infinite where only one value is a number; None if shape or dtype differ."""
    rows: float | None = None
    """Share of the rows in which values differ, between 0 and 1; None if shape or dtype differ."""


def differences(first: Path, second: Path) -> Iterator[Difference]:
    """Compare the models and the states of both optimizers in two checkpoints, but not random states and times.

    Tensors are compared under the names that they have now, whatever version wrote them.

    Yields:
        One `Difference` for each tensor that is not bit for bit the same.

    Raises:
        DataError: One of the checkpoints is damaged.
    """
    one, other = CheckpointReader(first), CheckpointReader(second)
    names, other_names = ({present_name(name): name for name in reader.specs} for reader in (one, other))
    for name in {**names, **other_names}:
        spec, other_spec = _spec(one, names.get(name)), _spec(other, other_names.get(name))
        if spec != other_spec:
            yield Difference(readable_name(name), spec, other_spec)
            continue
        largest, rows = _compare(one, names[name], other, other_names[name])
        if largest > 0:
            yield Difference(readable_name(name), spec, other_spec, largest, rows)


def _spec(reader: CheckpointReader, name: str | None) -> str | None:
    if name is None:
        return None
    size, dtype = reader.specs[name]
    return f"{' x '.join(f'{n:,}' for n in size)} {dtype}".replace("torch.", "").strip()


def _compare(one: CheckpointReader, name: str, other: CheckpointReader, other_name: str) -> tuple[float, float]:
    """Return the largest difference of the values, and the share of rows that differ."""
    size, _ = one.specs[name]
    differs = torch.zeros(size[0] if size else 1, dtype=torch.bool)
    largest = 0.0
    for offsets, values in one.read_chunks(name):
        distance = _distance(values, other.read_region(other_name, offsets, tuple(values.shape)))
        if distance.numel():
            by_row = distance.reshape(len(distance) if size else 1, -1).amax(dim=1)
            largest = max(largest, float(by_row.max()))
            first = offsets[0] if size else 0
            differs[first : first + len(by_row)] |= by_row > 0
    return largest, float(differs.double().mean()) if largest else 0.0


def _distance(one: Tensor, other: Tensor) -> Tensor:
    """Return absolute differences; infinite where only one value is a number, 0 where neither is."""
    same = (one == other) | (one.isnan() & other.isnan())
    distance = one.double().sub_(other.double()).abs_()
    return distance.nan_to_num_(nan=torch.inf, posinf=torch.inf).masked_fill_(same, 0.0)
