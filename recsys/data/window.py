"""A window: some record batches of prepared files, copied into memory and ready to be gathered row by row.

Columns of one type are kept as one row-major matrix, so that gathering a row costs one cache miss and not one for each
field (26 ids: 24 M rows/s against 5 M from 26 columns).

Dimension key: B picked rows, W rows of the window, F fields of one type, V ids of one list field.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from recsys.config.resolved import ResolvedConfig
from recsys.data.part_file import PartFile
from recsys.data.rows import Jagged, Rows
from recsys.data.targets import GROUP, LABEL, WEIGHT
from recsys.errors import DataError

__all__ = [
    "Chunk",
    "Columns",
    "Picked",
    "Targets",
    "Window",
    "list_chunks",
    "load_picked",
    "load_window",
    "read_chunks",
    "take_lists",
]

Targets = np.ndarray[Any, np.dtype[np.float32]]
"""Targets that the rows of all files learn in place of labels: (rows, tasks)."""
Picked = np.ndarray[Any, Any] | slice
"""Rows of a window: their indices (B,) int32, or all from `start` to `stop`."""


class Chunk(NamedTuple):
    """One record batch of a prepared file."""

    file: Path
    number: int
    num_rows: int
    first_row: int
    """Number of its first row among those of all files."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Columns:
    """Columns of the prepared files, by what they become."""

    ids: tuple[str, ...]
    """One int32 id a row."""
    keys: tuple[str, ...]
    """One int64 key a row (open vocabulary)."""
    lists: tuple[str, ...]
    open_lists: frozenset[str]
    """Lists that hold int64 keys, not int32 ids."""
    numbers: tuple[str, ...]
    labels: tuple[str, ...]
    weights: tuple[str, ...]
    """`WEIGHT`, or nothing."""
    groups: tuple[str, ...]
    """`GROUP`, or nothing."""

    @classmethod
    def of(cls, resolved: ResolvedConfig) -> Columns:
        """Return the columns of the prepared files of a configuration."""
        single = resolved.fields_of_kind("id")
        lists = [field for field in resolved.fields if field.is_list]
        return cls(
            ids=tuple(field.name for field in single if not field.open),
            keys=tuple(field.name for field in single if field.open),
            lists=tuple(field.name for field in lists),
            open_lists=frozenset(field.name for field in lists if field.open),
            numbers=tuple(field.name for field in resolved.fields_of_kind("number")),
            labels=tuple(LABEL + task for task in resolved.config.labels),
            weights=(WEIGHT,) if resolved.config.weight else (),
            groups=(GROUP,) if resolved.config.group else (),
        )

    @property
    def all(self) -> tuple[str, ...]:
        return self.ids + self.keys + self.lists + self.numbers + self.labels + self.weights + self.groups


@dataclass(frozen=True, slots=True)
class Window:
    """W rows in memory."""

    columns: Columns
    ids: Tensor
    """(W, F) int32."""
    keys: Tensor
    """(W, F) int64."""
    floats: Tensor
    """(W, F) float32: numbers, labels, weights."""
    groups: Tensor
    """(W, 0 or 1) int64."""
    lists: dict[str, tuple[Tensor, Tensor]]
    """Values (V,) and offsets (W + 1,) of each list field."""
    targets: Tensor | None = None
    """(W, T) float32: what the rows learn in place of labels."""

    def rows(self, rows: Picked, *, batch_rows: int) -> Rows:
        """Return the picked rows, which are this rank's part of `batch_rows`."""
        picked = rows if isinstance(rows, slice) else torch.from_numpy(rows)
        columns, num_numbers, num_labels = self.columns, len(self.columns.numbers), len(self.columns.labels)
        ids_FB, keys_FB = (_take(matrix, picked).T.contiguous() for matrix in (self.ids, self.keys))
        floats = _take(self.floats, picked)
        weights = floats[:, num_numbers + num_labels :]
        return Rows(
            single=dict(zip(columns.ids + columns.keys, [*ids_FB.unbind(), *keys_FB.unbind()], strict=True)),
            lists={name: _take_lists(*lists, picked) for name, lists in self.lists.items()},
            numbers=floats[:, :num_numbers].contiguous(),
            labels=floats[:, num_numbers : num_numbers + num_labels].contiguous(),
            weights=weights[:, 0].contiguous() if columns.weights else None,
            groups=_take(self.groups, picked)[:, 0] if columns.groups else None,
            num_rows=len(floats),
            batch_rows=batch_rows,
            targets=None if self.targets is None else _take(self.targets, picked),
        )


def _take(matrix: Tensor, picked: Tensor | slice) -> Tensor:
    return matrix[picked] if isinstance(picked, slice) else matrix.index_select(0, picked)


def _take_lists(values: Tensor, offsets: Tensor, picked: Tensor | slice) -> Jagged:
    if isinstance(picked, slice):
        ends = offsets[picked.start : picked.stop + 1]
        return Jagged(values[int(ends[0]) : int(ends[-1])].clone(), ends.diff().int())
    return take_lists(values, offsets, picked)


def take_lists(values: Tensor, offsets: Tensor, picked: Tensor) -> Jagged:
    """Return the picked lists laid end to end, without a loop over rows.

    Args:
        values: (V, ...), the entries of all lists.
        offsets: (W + 1,), where each list begins, and the last one ends.
        picked: (B,), the lists.

    Example:
        >>> take_lists(torch.tensor([7, 8, 9]), torch.tensor([0, 2, 2, 3]), torch.tensor([2, 0])).values
        tensor([9, 7, 8])
    """
    starts = offsets.index_select(0, picked)
    lengths = offsets.index_select(0, picked + 1) - starts
    ends = lengths.cumsum(0)
    # Entry j of the result lies in list r; it is entry j - (ends - lengths)[r] of that list.
    shifts = (starts - ends + lengths).repeat_interleave(lengths)
    return Jagged(values.index_select(0, shifts + torch.arange(len(shifts), device=shifts.device)), lengths.int())


def list_chunks(files: Sequence[Path], columns: Columns) -> list[Chunk]:
    """Return the record batches of `files`, from their footers; empty ones are left out.

    Raises:
        DataError: a file is missing, broken, or lacks one of `columns`.
    """
    chunks: list[Chunk] = []
    first_row = 0
    for file in files:
        with PartFile(file) as opened:
            if missing := [name for name in columns.all if name not in opened.reader.schema.names]:
                raise DataError(f"{file}: lacks the prepared column {missing[0]!r}; delete its folder to prepare anew")
            counts = opened.num_rows()
        for index, count in enumerate(counts):
            chunks += [Chunk(file, index, count, first_row)] if count else []
            first_row += count
    return chunks


def load_picked(
    chunks: Sequence[Chunk], columns: Columns, picked: Sequence[Picked], targets: Targets | None = None
) -> tuple[Window, Sequence[Picked]]:
    """Copy those of `chunks` into memory that have picked rows; return them, and where the picked rows lie there."""
    sizes = np.array([chunk.num_rows for chunk in chunks])
    is_picked = np.zeros(sizes.sum(), np.bool_)
    for rows in picked:
        is_picked[rows] = True
    is_needed = np.logical_or.reduceat(is_picked, sizes.cumsum() - sizes)
    window = load_window([chunk for chunk, needed in zip(chunks, is_needed, strict=True) if needed], columns, targets)
    if is_needed.all():
        return window, picked
    left_out = np.where(is_needed, 0, sizes).cumsum(dtype=np.int32).repeat(sizes)  # before each row that is needed
    return window, [_moved(rows, left_out) for rows in picked]


def _moved(rows: Picked, left_out: np.ndarray[Any, Any]) -> Picked:
    if not isinstance(rows, slice):
        indices: Picked = rows - left_out[rows]
        return indices
    shift = left_out[rows.start] if rows.start < rows.stop else rows.start
    return slice(rows.start - shift, rows.stop - shift)


def load_window(chunks: Sequence[Chunk], columns: Columns, targets: Targets | None = None) -> Window:
    """Copy `chunks` into memory, in the order given. No file stays mapped afterwards.

    Args:
        chunks: record batches.
        columns: their columns.
        targets: what the rows of all files learn in place of labels.
    """
    num_rows = sum(chunk.num_rows for chunk in chunks)
    ids = np.empty((num_rows, len(columns.ids)), np.int32)
    keys = np.empty((num_rows, len(columns.keys)), np.int64)
    floats = np.empty((num_rows, len(columns.numbers + columns.labels + columns.weights)), np.float32)
    groups = np.empty((num_rows, len(columns.groups)), np.int64)
    lists: dict[str, list[pa.Array]] = {name: [] for name in columns.lists}
    start = 0
    for batch in read_chunks(chunks):
        stop = start + batch.num_rows
        _fill(ids[start:stop], batch, columns.ids)
        _fill(keys[start:stop], batch, columns.keys)
        _fill(floats[start:stop], batch, columns.numbers + columns.labels + columns.weights)
        _fill(groups[start:stop], batch, columns.groups)
        for name, parts in lists.items():
            parts.append(batch.column(name))
        start = stop
    return Window(
        columns,
        torch.from_numpy(ids),
        torch.from_numpy(keys),
        torch.from_numpy(floats),
        torch.from_numpy(groups),
        lists={
            name: _load_lists(parts, np.int64 if name in columns.open_lists else np.int32)
            for name, parts in lists.items()
        },
        targets=None if targets is None else _targets_of(chunks, targets),
    )


def _targets_of(chunks: Sequence[Chunk], targets: Targets) -> Tensor:
    parts = [targets[chunk.first_row : chunk.first_row + chunk.num_rows] for chunk in chunks]
    return torch.from_numpy(np.concatenate([targets[:0], *parts]))


def _fill(matrix: np.ndarray[Any, Any], batch: pa.RecordBatch, names: Sequence[str]) -> None:
    for index, name in enumerate(names):
        matrix[:, index] = batch.column(name).to_numpy()  # refuses nulls, which no prepared column has


def _load_lists(parts: Sequence[pa.ListArray], dtype: type[np.integer[Any]]) -> tuple[Tensor, Tensor]:
    """Return values and offsets; there may be no parts."""
    values = np.concatenate([np.empty(0, dtype), *(part.flatten().to_numpy() for part in parts)])
    lengths = np.concatenate([np.empty(0, np.int32), *(np.diff(part.offsets.to_numpy()) for part in parts)])
    offsets = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return torch.from_numpy(values), torch.from_numpy(offsets)


def read_chunks(chunks: Sequence[Chunk]) -> Iterator[pa.RecordBatch]:
    """Yield the record batches, opening a file once for each run of chunks that lie in it."""
    starts = [i for i in range(len(chunks)) if i == 0 or chunks[i].file != chunks[i - 1].file]
    for start, stop in pairwise([*starts, len(chunks)]):
        with PartFile(chunks[start].file) as opened:
            for chunk in chunks[start:stop]:
                yield opened.batch(chunk.number)
