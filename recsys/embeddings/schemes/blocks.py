"""Blocks of training frequency whose rows have widths of their own, padded or projected to one.

The form of what a search of dimensions finds: frequent ids earn wide rows, rare ones narrow rows or none.

Papers: Ginart et al., "Mixed Dimension Embeddings with Application to Memory-Efficient Recommendation Systems", ISIT
2021 (section 3, blocks of popularity and projections); Cheng et al., "Differentiable Neural Input Search for
Recommender Systems", 2020 (section 3.1, blocks of features by frequency).

Dimension key: V ids, K physical lookups, w width of a block's rows, W of all blocks' together, D of the embedding.
"""

import copy
from collections.abc import Mapping, Sequence
from itertools import accumulate

import torch
from torch import Tensor, nn

from recsys.config.limits import rows_together
from recsys.config.schemes import TableSection
from recsys.config.schemes.blocks import BlockShape, BlocksTable
from recsys.embeddings.scheme import FeatureVocabulary, PhysicalTable, Scheme, tensor_bytes
from recsys.embeddings.schemes.packing import packed_tables, unpack
from recsys.embeddings.serving import RowReader
from recsys.errors import ConfigError

__all__ = ["Blocks"]


class Blocks(Scheme):
    """Rows of one vocabulary in blocks: ids of all blocks of one width share a physical table.

    Every id is looked up in every table, and `combine` takes the row of its block. Where it has none, it reads the
    last physical row, which no id owns: its gradient is 0 to the bit, so that nothing but a penalty on rows moves it,
    and no row of another id is touched (Adam would move it) or counted. That spare row has bytes like any other in
    training; the exported form does without, since there any row will do. A block of width 0 has no rows, and its ids
    are the zero vector.

    DIFF: a block as wide as the embedding has no projection (Ginart et al.: the first block's is the identity).
    Matrices start so that fresh vectors have the usual standard deviation.

    Example:
        >>> blocks = ({"ids": 2, "dim": 8}, {"ids": 3, "dim": 4}, {"dim": 0})
        >>> spec = BlocksTable(features=("item",), scheme="blocks", blocks=blocks)
        >>> table = Blocks("t", [FeatureVocabulary("item", 100)], 8, spec)
        >>> [(t.rows, t.dim) for t in table.tables(0)], table.remap(torch.tensor([1, 2, 4, 99]), 0).tolist()
        ([(3, 8), (4, 4)], [[1, 2, 2, 2], [3, 0, 2, 3]])
    """

    section = BlocksTable
    ranks: Tensor | None
    projection: Tensor | None
    """(W, D), the matrix of each block that is narrower than D below that of the one before."""

    def __init__(self, name: str, vocabularies: Sequence[FeatureVocabulary], dim: int, spec: TableSection) -> None:
        assert isinstance(spec, BlocksTable)
        (vocabulary,) = vocabularies
        shapes = spec.shapes(vocabulary.size)
        if spec.join == "pad":
            shapes = _merged(shapes)
        # Without its ranks: the exported form must not hold them twice.
        super().__init__(name, [vocabulary._replace(ranks=None)], dim, spec)
        ranks = None if vocabulary.ranks is None or len(shapes) == 1 else vocabulary.ranks.to(torch.int32)
        self.register_buffer("ranks", ranks)
        self.num_ids = vocabulary.size
        self._place(shapes)
        self.is_one = len(shapes) == 1
        self.sums_bags = self.is_one and self.together[0] == 1
        narrow = [width for width in self.block_widths if width < dim and spec.join == "project"]
        self.register_parameter("projection", nn.Parameter(_projections(narrow, dim)) if narrow else None)

    def _place(self, shapes: Sequence[BlockShape]) -> None:
        """Set where the rows of each block that has any lie."""
        ends = list(accumulate(shape.num_ids for shape in shapes))
        held = [(end - size, end, columns) for end, (size, columns) in zip(ends, shapes, strict=True) if columns]
        self.starts, self.ends = [start for start, _, _ in held], [end for _, end, _ in held]
        self.runs = [_runs(columns, self.dim) for _, _, columns in held]
        self.block_widths = [len(columns) for _, _, columns in held]
        self.widths = sorted(set(self.block_widths), reverse=True)
        self.together = [rows_together(width) for width in self.widths]
        self.group_of = [self.widths.index(width) for width in self.block_widths]
        self.sizes = [0] * len(self.widths)
        self.first_rows = []
        """Row of each block's first id among those of its width."""
        for start, end, group in zip(self.starts, self.ends, self.group_of, strict=True):
            self.first_rows.append(self.sizes[group])
            self.sizes[group] += end - start
        self.spare_rows = [-(-size // together) for size, together in zip(self.sizes, self.together, strict=True)]
        """Physical row, for each width, that ids without a row of it read; there is none if all ids have one."""
        self.first_lookups = [0, *accumulate(len(self._tables_of(group)) for group in range(len(self.widths)))]

    @classmethod
    def build(cls, name: str, vocabularies: Sequence[FeatureVocabulary], dim: int, spec: TableSection) -> list[Scheme]:
        assert isinstance(spec, BlocksTable)
        for vocabulary in vocabularies:
            if not any(shape.columns for shape in spec.shapes(vocabulary.size)):
                raise ConfigError(
                    f"tables.{name}.blocks: all {vocabulary.size:,} ids of {vocabulary.name!r} are in blocks of dim 0; "
                    f"give it another table, or drop it with `use: false` at the feature"
                )
        return [cls.for_feature(name, vocabulary, dim, spec) for vocabulary in vocabularies]

    def _tables_of(self, group: int) -> list[PhysicalTable]:
        """Return the physical tables of one width, which are several if a physical row is too wide for one."""
        size, width, together = self.sizes[group], self.widths[group], self.together[group]
        spare = 0 if size == self.num_ids else together
        return packed_tables(self, f"_{width}", size + spare, width)

    def tables(self, feature_index: int) -> list[PhysicalTable]:  # noqa: ARG002
        return [table for group in range(len(self.widths)) for table in self._tables_of(group)]

    def expected_id_collisions(self, feature_index: int) -> float:  # noqa: ARG002
        """Return the number of ids that are the zero vector."""
        zeros = self.num_ids - sum(self.sizes)
        return float(zeros) if zeros > 1 else 0.0

    def lookup_positions(self, id_V: Tensor, feature_index: int) -> Tensor:  # noqa: ARG002
        rank_V = self.rank_of(id_V)
        return torch.stack([self.row_of(rank_V, group) for group in range(len(self.widths))])

    def rank_of(self, id_V: Tensor) -> Tensor:
        """Return the ranks of ids by training frequency, (V,) int64."""
        ranks = self.ranks
        return id_V if ranks is None else ranks.to(id_V.device)[id_V].long()

    def row_of(self, rank_V: Tensor, group: int) -> Tensor:
        """Return the rows of ids among those of one width, (V,); -1 for ids that have none there."""
        row_V = torch.full_like(rank_V, -1)
        for block, start in enumerate(self.starts):
            if self.group_of[block] == group:
                is_in_V = (rank_V >= start) & (rank_V < self.ends[block])
                row_V = torch.where(is_in_V, rank_V - start + self.first_rows[block], row_V)
        return row_V

    def remap(self, id_V: Tensor, feature_index: int) -> Tensor:  # noqa: ARG002
        rank_V = self.rank_of(id_V)
        found: list[Tensor] = []
        for group, together in enumerate(self.together):
            row_V = self.row_of(rank_V, group)
            physical_V = torch.div(row_V, together, rounding_mode="floor")
            physical_V = torch.where(row_V < 0, self.spare_rows[group], physical_V)
            for _ in range(self.first_lookups[group], self.first_lookups[group + 1]):
                found.append(physical_V)
        return torch.stack(found)

    def serving(self, weights: Mapping[str, Tensor]) -> nn.Module:
        """Return the exported form, without the spare rows: ids read the first row in place of one."""
        tables = [(table.name, group) for group in range(len(self.widths)) for table in self._tables_of(group)]
        owned = {name: self.served(weights[name][: self.spare_rows[group]]) for name, group in tables}
        served = copy.copy(self)
        served.spare_rows = [0 for _ in self.spare_rows]
        return RowReader(served, [[name for name, _ in tables]], owned)

    def serving_bytes(self) -> int:
        floats = sum(rows * self.together[i] * self.widths[i] for i, rows in enumerate(self.spare_rows))
        return self.spec.serving_weight_bytes * floats + tensor_bytes(self)

    def combine(self, rows: list[Tensor], id_V: Tensor, feature_index: int) -> Tensor:  # noqa: ARG002
        if self.is_one:
            return self.join([unpack(rows, id_V, self.together[0])])
        rank_V = self.rank_of(id_V)
        parts: list[Tensor] = []
        for block, start in enumerate(self.starts):
            group = self.group_of[block]
            pieces = rows[self.first_lookups[group] : self.first_lookups[group + 1]]
            row_Vw = unpack(pieces, rank_V - start + self.first_rows[block], self.together[group])
            is_out_V = (rank_V < start) | (rank_V >= self.ends[block])
            parts.append(row_Vw.masked_fill(is_out_V.unsqueeze(1), 0.0))
        return self.join(parts)

    def join(self, parts: list[Tensor]) -> Tensor:
        """Return the embeddings (V, D) of which the rows of each block (V, w), zero outside of it, are a part."""
        projection = self.projection
        wide: list[Tensor] = []
        first = 0
        for block, row_Vw in enumerate(parts):
            if projection is None or row_Vw.size(1) == self.dim:
                wide.append(widened(row_Vw, self.runs[block]))
            else:
                wide.append(row_Vw @ projection[first : first + row_Vw.size(1)])
                first += row_Vw.size(1)
        found = wide[0]
        for row_VD in wide[1:]:
            found = found + row_VD
        return found


def widened(row_Vw: Tensor, runs: list[int]) -> Tensor:
    """Return rows (V, D) with zeros in the columns that a block does not hold.

    >>> widened(torch.tensor([[1.0, 2.0]]), [1, 2, 3]).tolist()
    [[0.0, 1.0, 2.0, 0.0, 0.0, 0.0]]

    Args:
        row_Vw: the columns that it holds.
        runs: numbers of columns in a row, in turn missing and held.
    """
    pieces: list[Tensor] = []
    first = 0
    for i, length in enumerate(runs):
        if i % 2 == 1:
            pieces.append(row_Vw[:, first : first + length])
            first += length
        elif length > 0:
            pieces.append(row_Vw.new_zeros([row_Vw.size(0), length]))
    return pieces[0] if len(pieces) == 1 else torch.cat(pieces, dim=1)


def _runs(columns: Sequence[int], dim: int) -> list[int]:
    """Return the numbers of columns in a row, in turn missing and held.

    >>> _runs((0, 1, 4), 8)
    [0, 2, 2, 1, 3]
    """
    found, held = [0], False
    for column in range(dim):
        if (column in columns) != held:
            found.append(0)
            held = not held
        found[-1] += 1
    return found


def _merged(shapes: Sequence[BlockShape]) -> list[BlockShape]:
    """Return the blocks with neighbours of the same columns as one."""
    found: list[BlockShape] = []
    for shape in shapes:
        if found and found[-1].columns == shape.columns:
            found[-1] = BlockShape(found[-1].num_ids + shape.num_ids, shape.columns)
        else:
            found.append(shape)
    return found


def _projections(widths: Sequence[int], dim: int) -> Tensor:
    """Return a matrix (w, D) for each block, one below the other."""
    matrix = torch.empty(sum(widths), dim)
    for part, width in zip(torch.split(matrix, list(widths)), widths, strict=True):
        nn.init.normal_(part, std=width**-0.5)
    return matrix
