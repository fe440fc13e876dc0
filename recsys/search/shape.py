"""TableShape: what a search leaves of the embeddings of one vocabulary. Knows no torch."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsys.config.schemes.base import WEIGHT_BYTES, RowPrecision
from recsys.config.schemes.blocks import BlockShape, blocks_bytes

__all__ = ["TableShape"]


@dataclass(frozen=True, kw_only=True, eq=False)
class TableShape:
    """Rows and columns that a search leaves of the embeddings of one vocabulary.

    >>> whole = TableShape.prefix("item", num_ids=100, dim=16, width=16)
    >>> half = TableShape.prefix("item", num_ids=100, dim=16, width=8)
    >>> whole.serving_bytes, half.serving_bytes
    (6400, 3200)
    """

    vocabulary: str
    """Field that owns the vocabulary."""
    dim: int
    """D, width of the supernet's rows."""
    block_sizes: tuple[int, ...]
    """Ids of each block, most frequent first; id 0 is in the first block. Their sum is the size of the vocabulary."""
    columns: tuple[tuple[int, ...], ...]
    """Kept columns of each block, ascending; none: its ids have no row, and the zero vector."""
    kept: NDArray[np.bool_] | None = None
    """(num_ids,) by id: the ids that keep a row of their own; None for all. Entry 0 is ignored: id 0 is unknown."""
    ranks: NDArray[np.int64] | None = field(default=None, repr=False)
    """(num_ids,) by id: place in the order of falling training frequency, id 0 first; None where that is the order."""
    precision: RowPrecision = "fp32"
    """Precision in which the rows of the table that it becomes are served."""

    def __post_init__(self) -> None:
        if len(self.block_sizes) != len(self.columns) or not self.block_sizes:
            raise ValueError(f"{self.vocabulary}: {self.block_sizes=} and {self.columns=} must be of one length")
        if min(self.block_sizes) < 1:
            raise ValueError(f"{self.vocabulary}: blocks must hold an id at least, got {self.block_sizes=}")
        for columns in self.columns:
            if list(columns) != sorted(set(columns)) or (columns and not 0 <= columns[0] <= columns[-1] < self.dim):
                raise ValueError(f"{self.vocabulary}: columns must ascend from 0 to below {self.dim}, got {columns}")
        for by_id in (self.kept, self.ranks):
            if by_id is not None and by_id.shape != (self.num_ids,):
                raise ValueError(f"{self.vocabulary}: {by_id.shape=} must be ({self.num_ids},), an entry for each id")

    @classmethod
    def prefix(
        cls,
        vocabulary: str,
        *,
        num_ids: int,
        dim: int,
        width: int,
        precision: RowPrecision = "fp32",
    ) -> "TableShape":
        """Return the shape in which all ids keep the first `width` columns."""
        return cls(
            vocabulary=vocabulary,
            dim=dim,
            block_sizes=(num_ids,),
            columns=(tuple(range(width)),),
            precision=precision,
        )

    @classmethod
    def from_groups(
        cls,
        vocabulary: str,
        *,
        dim: int,
        block_sizes: Sequence[int],
        groups: NDArray[np.bool_],
        kept: NDArray[np.bool_] | None = None,
        ranks: NDArray[np.int64] | None = None,
    ) -> "TableShape":
        """Return the shape in which each block keeps groups of neighbouring columns.

        Args:
            vocabulary: field that owns the vocabulary.
            dim: width of the rows.
            block_sizes: ids of each block, most frequent first.
            groups: (blocks, groups), True for what is kept; the number of groups divides `dim`.
            kept: (num_ids,) ids that keep a row.
            ranks: (num_ids,) places of the ids in the order of frequency, where they are not in it.
        """
        by_column = np.repeat(groups, dim // groups.shape[1], axis=1)
        columns = tuple(tuple(np.flatnonzero(row).tolist()) for row in by_column)
        return cls(
            vocabulary=vocabulary,
            dim=dim,
            block_sizes=tuple(block_sizes),
            columns=columns,
            kept=kept,
            ranks=ranks,
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TableShape):
            return NotImplemented
        pairs = ((self.kept, other.kept), (self.ranks, other.ranks))
        return self.to_json() == other.to_json() and all(_are_equal(mine, its) for mine, its in pairs)

    __hash__ = None  # type: ignore[assignment]

    @property
    def num_ids(self) -> int:
        """Ids of the vocabulary, the unknown one included."""
        return sum(self.block_sizes)

    @property
    def widths(self) -> tuple[int, ...]:
        """Number of kept columns of each block."""
        return tuple(map(len, self.columns))

    @property
    def num_kept(self) -> int:
        """Ids that are left, the unknown one included."""
        return sum(self._kept_sizes)

    @property
    def prunes_rows(self) -> bool:
        """Whether an id loses its row."""
        return self.num_kept < self.num_ids

    @property
    def is_dropped(self) -> bool:
        """Whether nothing is left but zero vectors, so that the feature may go."""
        return not any(size and width for size, width in zip(self._known_sizes, self.widths, strict=True))

    @property
    def is_whole(self) -> bool:
        """Whether everything is left."""
        return not self.prunes_rows and all(width == self.dim for width in self.widths)

    @property
    def serving_bytes(self) -> int:
        """Bytes of the table as it is served: what `recsys tables` says of the section that it becomes."""
        if self.is_dropped:
            return 0
        weight_bytes = WEIGHT_BYTES[self.precision]
        return blocks_bytes(self.blocks, self.dim, weight_bytes=weight_bytes, ranks=self.ranks is not None)

    @property
    def blocks(self) -> tuple[BlockShape, ...]:
        """The blocks of the ids that are left, as a table's section states them: neighbours that are alike are one."""
        left = [BlockShape(*pair) for pair in zip(self._kept_sizes, self.columns, strict=True) if pair[0]]
        groups = ((columns, list(group)) for columns, group in groupby(left, key=lambda block: block.columns))
        return tuple(BlockShape(sum(block.num_ids for block in group), columns) for columns, group in groups)

    def section(self) -> dict[str, Any]:
        """Return the keys of a table of the scheme `blocks` that has what is left, of which there must be something."""
        blocks = [{"ids": block.num_ids, **_columns(block.columns)} for block in self.blocks]
        del blocks[-1]["ids"]
        return {"scheme": "blocks", "dim": self.dim, "blocks": tuple(blocks)}

    def rounded_to(self, multiple: int, *, order: NDArray[np.int64] | None = None) -> "TableShape":
        """Return the shape whose widths are rounded up to a multiple, by columns that it has lost.

        Args:
            multiple: what FBGEMM reads: 4.
            order: (blocks, dim), the columns of each block in the order in which they come back, the best first;
                from the first to the last one when not given.
        """
        rows = np.tile(np.arange(self.dim), (len(self.columns), 1)) if order is None else order
        rounded = []
        for columns, row in zip(self.columns, rows, strict=True):
            missing = min(-len(columns) % multiple, self.dim - len(columns))
            lost = [int(column) for column in row if column not in columns]
            rounded.append(tuple(sorted([*columns, *lost[:missing]])))
        return replace(self, columns=tuple(rounded))

    def column_mask(self) -> NDArray[np.float32]:
        """Return 1 for each kept column of each block, else 0; shape (blocks, D)."""
        mask = np.zeros((len(self.columns), self.dim), np.float32)
        for block, columns in enumerate(self.columns):
            mask[block, list(columns)] = 1
        return mask

    def row_mask(self) -> NDArray[np.float32]:
        """Return 1 for each id that keeps its row, else 0; shape (num_ids,).

        Id 0 has none where any id has lost its row: that id is unknown in the model that is trained afterwards, and
        both are to have the same embedding.
        """
        if self.kept is None or not self.prunes_rows:
            return np.ones(self.num_ids, np.float32)
        mask = self.kept.astype(np.float32)
        mask[0] = 0
        return mask

    def to_json(self) -> dict[str, Any]:
        """Return everything but `kept` and `ranks`, which hold an entry for each id."""
        return {
            "vocabulary": self.vocabulary,
            "dim": self.dim,
            "block_sizes": list(self.block_sizes),
            "columns": [list(columns) for columns in self.columns],
            "precision": self.precision,
        }

    @classmethod
    def from_json(
        cls,
        data: Mapping[str, Any],
        *,
        kept: NDArray[np.bool_] | None = None,
        ranks: NDArray[np.int64] | None = None,
    ) -> "TableShape":
        """Return the shape that `to_json` has written, with what was kept apart from it."""
        return cls(
            vocabulary=data["vocabulary"],
            dim=data["dim"],
            block_sizes=tuple(data["block_sizes"]),
            columns=tuple(map(tuple, data["columns"])),
            kept=kept,
            ranks=ranks,
            precision=data["precision"],
        )

    @cached_property
    def _known_sizes(self) -> tuple[int, ...]:
        """Ids of each block that keep their rows, the unknown one left out."""
        if self.kept is None:
            return (self.block_sizes[0] - 1, *self.block_sizes[1:])
        ids = 1 + np.flatnonzero(self.kept[1:])
        places = ids if self.ranks is None else self.ranks[ids]
        blocks = np.searchsorted(np.cumsum(self.block_sizes), places, side="right")
        return tuple(np.bincount(blocks, minlength=len(self.block_sizes)).tolist())

    @property
    def _kept_sizes(self) -> tuple[int, ...]:
        """Ids of each block that are left, the unknown one included."""
        return (self._known_sizes[0] + 1, *self._known_sizes[1:])


def _are_equal(first: NDArray[Any] | None, second: NDArray[Any] | None) -> bool:
    return first is second or (first is not None and second is not None and np.array_equal(first, second))


def _columns(columns: tuple[int, ...]) -> dict[str, Any]:
    """Return columns as a block states them: so many of the first ones, or ranges."""
    if columns == tuple(range(len(columns))):
        return {"dim": len(columns)}
    return {"columns": tuple(_ranges(columns))}


def _ranges(columns: tuple[int, ...]) -> Iterator[str | int]:
    """Yield ascending numbers as ranges.

    >>> list(_ranges((0, 1, 2, 5, 7, 8)))
    ['0-2', 5, '7-8']
    """
    start = 0
    for end in range(1, len(columns) + 1):
        if end == len(columns) or columns[end] != columns[end - 1] + 1:
            first, last = columns[start], columns[end - 1]
            yield first if first == last else f"{first}-{last}"
            start = end
