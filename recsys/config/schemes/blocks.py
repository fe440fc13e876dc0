"""The section of tables in blocks of frequency, and the arithmetic of their bytes."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, Self

from pydantic import Field, model_validator

from recsys.config.limits import DIMS, rows_together
from recsys.config.problems import KeyPath
from recsys.config.schemes.base import Count, PlainRows
from recsys.config.section import BY_SHAPE, Section, shape_tag

__all__ = ["Block", "BlockShape", "BlocksTable", "Join", "blocks_bytes"]

Join = Literal["pad", "project"]
Column = Annotated[int, Field(ge=0, lt=DIMS[-1])]
Columns = Annotated[
    Annotated[Column, shape_tag("integer")] | Annotated[str, Field(max_length=20), shape_tag("text")], BY_SHAPE
]
RANGE = re.compile(r"(\d{1,4})-(\d{1,4})")


class BlockShape(NamedTuple):
    """The ids of a block in one vocabulary, and the columns of their rows."""

    num_ids: int
    columns: tuple[int, ...]
    """Columns of the embedding that its rows hold, ascending; () for no rows."""


class Block(Section):
    """A block of ids that follow each other in the order of training frequency."""

    ids: Count | None = None
    """Number of ids, the most frequent first (id 0, unknown, comes before all); not given in the last block, which has
    all the others."""
    dim: Annotated[int, Field(ge=0, le=DIMS[-1])] | None = None
    """Width of the rows: the first columns of the embedding; 0 for no rows, which is the zero vector."""
    columns: Annotated[tuple[Columns, ...], Field(min_length=1)] | None = None
    """Columns of the embedding that the rows hold, in place of `dim`: numbers from 0, and ranges with both ends
    ("0-15")."""

    @model_validator(mode="after")
    def _one_width(self) -> Self:
        if (self.dim is None) == (self.columns is None):
            raise ValueError(f"needs either dim or columns, got {'neither' if self.dim is None else 'both'}")
        return self

    @property
    def kept(self) -> tuple[int, ...]:
        """The columns that its rows hold, ascending."""
        if self.columns is None:
            return tuple(range(self.dim or 0))
        return tuple(sorted({column for entry in self.columns for column in _range_of(entry)}))

    def check(self) -> Iterator[tuple[KeyPath, str]]:
        seen: set[int] = set()
        for i, entry in enumerate(self.columns or ()):
            columns = _range_of(entry)
            if not columns:
                yield ("columns", i), f'must be a number or a range with both ends such as "0-15", got {entry!r}'
            if twice := seen.intersection(columns):
                yield ("columns", i), f"names column {min(twice)}, which is named before"
            seen.update(columns)

    def check_dim(self, dim: int) -> Iterator[tuple[KeyPath, str]]:
        """Yield what is wrong in a table whose width is `dim`."""
        if self.dim is not None and self.dim > dim:
            yield ("dim",), f"must be at most the dim of the table ({dim}), got {self.dim}"
        for i, entry in enumerate(self.columns or ()):
            if (columns := _range_of(entry)) and columns[-1] >= dim:
                yield ("columns", i), f"must be below the dim of the table ({dim}), got {entry}"


class BlocksTable(PlainRows):
    """Blocks of training frequency with rows of their own widths, padded or projected to one."""

    implementation: ClassVar[str | type] = "recsys.embeddings.schemes.blocks:Blocks"
    examples: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "": {"blocks": ({"ids": 3, "dim": 4}, {"ids": 4, "dim": 2}, {"dim": 0})},
        "one": {"dim": 8, "blocks": ({"dim": 4},)},
        "narrow": {"dim": 8, "blocks": ({"dim": 6},)},
        "columns": {"dim": 8, "blocks": ({"ids": 3, "columns": ("0-1", 5)}, {"columns": ("4-7",)})},
        "small": {"blocks": ({"ids": 6, "dim": 4}, {"ids": 1_000_000, "dim": 2}, {"dim": 0})},
        "project": {"dim": 8, "join": "project", "blocks": ({"ids": 2, "dim": 8}, {"ids": 2, "dim": 3}, {"dim": 4})},
        "project one": {"dim": 8, "join": "project", "blocks": ({"dim": 4},)},
    }

    scheme: Literal["blocks"]
    blocks: Annotated[tuple[Block, ...], Field(min_length=1, max_length=64)]
    """Blocks of ids by falling training frequency, each with `ids` and `dim` or `columns`; each feature has its own. A
    block takes what ids there are."""
    join: Join = "pad"
    """The way in which rows become as wide as `dim`: zeros in the other columns, or a learned matrix for each narrower
    block."""

    def check(self) -> Iterator[tuple[KeyPath, str]]:
        *others, last = self.blocks
        for i, block in enumerate(others):
            if block.ids is None:
                yield ("blocks", i), "needs ids: only the last block has all other ids"
        if last.ids is not None:
            yield ("blocks", len(others), "ids"), "must be left out: the last block has all other ids"
        for i, block in enumerate(self.blocks):
            yield from ((("blocks", i, *key), text) for key, text in block.check())
            if block.columns is not None and self.join == "project":
                yield (
                    ("blocks", i, "columns"),
                    "has no effect with join: project; write dim: the number of columns",
                )
        if all(block.dim == 0 for block in self.blocks):
            yield ("blocks",), "leave no rows: every block has dim 0; `use: false` at the feature drops it"

    def check_dim(self, dim: int) -> Iterator[tuple[KeyPath, str]]:
        for i, block in enumerate(self.blocks):
            yield from ((("blocks", i, *key), text) for key, text in block.check_dim(dim))

    def shapes(self, num_ids: int) -> list[BlockShape]:
        """Return the blocks of a vocabulary that have ids there."""
        found, left = [], num_ids
        for block in self.blocks:
            size = left if block.ids is None else min(block.ids, left)
            if size:
                found.append(BlockShape(size, block.kept))
            left -= size
        return found

    def known_bytes(self, num_ids: Sequence[int | None], dim: int) -> int | None:
        """Return the bytes if each vocabulary has one block; others may need ranks, which its size does not tell."""
        shapes = [self.shapes(size) for size in num_ids if size is not None]
        if len(shapes) < len(num_ids) or any(len(one) > 1 or not one[0].columns for one in shapes):
            return None
        return sum(blocks_bytes(one, dim, join=self.join, weight_bytes=self.serving_weight_bytes) for one in shapes)


def blocks_bytes(
    shapes: Sequence[BlockShape], dim: int, *, join: Join = "pad", weight_bytes: int = 4, ranks: bool = False
) -> int:
    """Return the bytes of one vocabulary in blocks as it is served, which `recsys tables` prints.

    >>> shapes = [BlockShape(100, tuple(range(32))), BlockShape(900, tuple(range(8))), BlockShape(9000, ())]
    >>> blocks_bytes(shapes, 32) == 4 * (100 * 32 + 900 * 8)
    True

    Args:
        shapes: its blocks.
        dim: width of an embedding.
        join: what makes rows as wide as an embedding.
        weight_bytes: bytes of one weight of the rows.
        ranks: whether its ids are not in the order of training frequency, so that the rank of each is stored.
    """
    by_width = Counter[int]()
    for size, columns in shapes:
        by_width[len(columns)] += size * bool(columns)
    # Rows that are no multiple of what FBGEMM reads fill whole physical rows.
    packed = ((width, rows_together(width), size) for width, size in by_width.items() if size)
    total = weight_bytes * sum(-(-size // together) * together * width for width, together, size in packed)
    if join == "project":
        total += 4 * dim * sum(len(columns) for size, columns in shapes if size and len(columns) < dim)
    return total + 4 * sum(shape.num_ids for shape in shapes) * (ranks and len(shapes) > 1)


def _range_of(entry: int | str) -> range:
    """Return the columns that an entry names; none if it cannot be read.

    >>> _range_of("4-7"), _range_of(3), _range_of("7-4")
    (range(4, 8), range(3, 4), range(0, 0))
    """
    if isinstance(entry, int):
        return range(entry, entry + 1)
    ends = RANGE.fullmatch(entry.replace(" ", ""))
    if ends is None or int(ends[1]) > int(ends[2]):
        return range(0)
    return range(int(ends[1]), int(ends[2]) + 1)
