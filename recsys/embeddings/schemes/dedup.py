"""Train in full, let blocks of rows that are alike be one, and fine-tune what they share.

Paper: Zhou et al., "Serving Deep Learning Models with Deduplication from Relational Databases", VLDB 2022, in the form
of Zhang et al., "Experimental Analysis of Large-scale Learnable Vector Storage Compression", VLDB 2024.

Dimension key: B blocks, F floats of one block, H hashes, V ids.
"""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from recsys.config.schemes import TableSection
from recsys.config.schemes.dedup import DedupTable
from recsys.embeddings.scheme import FeatureVocabulary, PhysicalTable, Scheme, Sizes
from recsys.embeddings.schemes.per_feature import full_if_smaller

__all__ = ["Dedup", "merge"]

BLOCK_ROWS = 10_000
MANY_BLOCKS = 100
"""Smaller blocks are cut where a table would have fewer."""
NUM_HASHES = 90
BUCKET = 9.0
"""Width of a hash's bucket, in tolerances."""
MOST_CANDIDATES = 8
"""Blocks that one block is compared with, float by float."""
PIECE = 2**24
"""Floats that are worked on at a time."""


class Dedup(Scheme):
    """All vocabularies end to end, cut in blocks; after the first stage `block_map` says which block stands for which.

    DIFF: where the paper misses a budget, tolerance and buckets are doubled and the blocks gone through again, until
    as few blocks are left as were asked for. Tables of less than a million ids have blocks of less than 10,000 rows,
    100 of them. A block is compared float by float only with the nearest of its candidates.

    Example:
        >>> from recsys.config.schemes.dedup import DedupTable
        >>> spec = DedupTable(features=("item",), scheme="dedup", blocks=1, block_rows=5)
        >>> table = Dedup("t", [FeatureVocabulary("item", 10)], 4, spec)
        >>> table.next_stage({"t_table": torch.ones(10, 4)})
        >>> table.block_map.tolist(), table.remap(torch.tensor([0, 7]), 0).tolist()
        ([0, 0], [[0, 2]])
    """

    section = DedupTable
    sums_bags = True
    id_collisions = "by_training"
    ends_stage_early = True

    block_map: Tensor
    """(B,) int32: the block whose rows a block has; itself while nothing is merged."""

    def __init__(self, name: str, vocabularies: Sequence[FeatureVocabulary], dim: int, spec: TableSection) -> None:
        super().__init__(name, vocabularies, dim, spec)
        assert isinstance(spec, DedupTable)
        assert spec.blocks is not None
        self.first_rows = [0]
        for vocabulary in vocabularies:
            self.first_rows.append(self.first_rows[-1] + vocabulary.size)
        self.block_rows = rows_of_block(self.first_rows[-1], spec)
        num_blocks = math.ceil(self.first_rows[-1] / self.block_rows)
        self.num_kept = min(spec.blocks, num_blocks)
        self.tolerance, self.similarity = spec.tolerance, spec.similarity
        self.register_buffer("block_map", torch.arange(num_blocks, dtype=torch.int32))

    @classmethod
    def build(cls, name: str, vocabularies: Sequence[FeatureVocabulary], dim: int, spec: TableSection) -> list[Scheme]:
        return [full_if_smaller(cls(name, vocabularies, dim, spec))]

    @classmethod
    def size_candidates(cls, vocabularies: Sequence[FeatureVocabulary], dim: int, spec: TableSection) -> Sizes:  # noqa: ARG003
        assert isinstance(spec, DedupTable)
        num_rows = sum(vocabulary.size for vocabulary in vocabularies)
        return range(math.ceil(num_rows / rows_of_block(num_rows, spec)), 0, -1)

    def tables(self, feature_index: int) -> list[PhysicalTable]:  # noqa: ARG002
        return [self.table("", len(self.block_map) * self.block_rows, self.dim)]  # the last block is padded

    def remap(self, id_V: Tensor, feature_index: int) -> Tensor:
        row_V = id_V + self.first_rows[feature_index]
        block_V = self.block_map.to(id_V.device)[row_V // self.block_rows].long()
        return (block_V * self.block_rows + row_V % self.block_rows).unsqueeze(0)

    @torch.no_grad()
    def next_stage(self, weights: Mapping[str, Tensor]) -> None:
        """Merge the blocks; the rows of those that stay keep their values and their optimizer's state."""
        merged_B = merge(
            weights[self.physical_tables()[0].name].float().view(len(self.block_map), -1),
            keep=self.num_kept,
            tolerance=self.tolerance,
            similarity=self.similarity,
        )
        self.block_map.copy_(merged_B)

    def serving(self, weights: Mapping[str, Tensor]) -> nn.Module:
        return BlockReader(self, weights[self.physical_tables()[0].name])

    def serving_bytes(self) -> int:
        return self.weight_bytes * self.num_kept * self.block_rows * self.dim + 4 * len(self.block_map)


class BlockReader(nn.Module):
    """The blocks that stayed, and for each block of ids which of them it has: (id_V, feature_index) -> (V, D)."""

    first_rows: list[int]
    block_map: Tensor

    def __init__(self, scheme: Dedup, weight: Tensor) -> None:
        super().__init__()
        self.first_rows = scheme.first_rows
        self.block_rows = scheme.block_rows
        kept, place_B = torch.unique(scheme.block_map.to(weight.device), return_inverse=True)
        blocks = weight.view(len(place_B), self.block_rows, scheme.dim)
        self.rows = scheme.served(blocks[kept.long()].flatten(0, 1))
        self.register_buffer("block_map", place_B.int())

    def forward(self, id_V: Tensor, feature_index: int) -> Tensor:
        row_V = id_V + self.first_rows[feature_index]
        block_V = self.block_map[row_V // self.block_rows].long()
        found: Tensor = self.rows(block_V * self.block_rows + row_V % self.block_rows)
        return found


def rows_of_block(num_rows: int, spec: DedupTable) -> int:
    """Return the rows of one block of a table."""
    return spec.block_rows or max(1, min(BLOCK_ROWS, num_rows // MANY_BLOCKS))


def merge(block_BF: Tensor, *, keep: int, tolerance: float, similarity: float) -> Tensor:
    """Let blocks that are alike be one until `keep` are left, those of small values first.

    Args:
        block_BF: the blocks.
        keep: how many are left, at least 1.
        tolerance: two floats are alike if they differ by no more; doubled as long as too many blocks are left.
        similarity: two blocks are alike if so large a share of their floats is, less than 1.

    Returns:
        (B,) int64: for each block the one that stands for it.
    """
    fixed = torch.Generator().manual_seed(0)  # the same blocks are merged in a run that is taken up again
    point_BH = project(block_BF, fixed)
    shift_H = torch.rand(NUM_HASHES, generator=fixed).to(block_BF.device)
    map_B = torch.arange(len(block_BF))
    left = third_quartiles(block_BF).argsort(stable=True).cpu()
    while len(left) > keep:
        bucket_BH = torch.floor(point_BH / (BUCKET * tolerance) + shift_H)
        twins = Twins(block_BF, point_BH, bucket_BH, tolerance, similarity)
        left = one_pass(left, twins, map_B, keep)
        tolerance *= 2
    while not torch.equal(map_B, map_B[map_B]):  # a twin may have found its own in a later pass
        map_B = map_B[map_B]
    return map_B


class Twins:
    """Looks for the block that is most like another."""

    def __init__(
        self, block_BF: Tensor, point_BH: Tensor, bucket_BH: Tensor, tolerance: float, similarity: float
    ) -> None:
        self.block_BF = block_BF
        self.point_BH = point_BH
        self.bucket_BH = bucket_BH
        self.tolerance = tolerance
        self.similarity = similarity

    def find(self, block: int, among: Tensor) -> int | None:
        """Return that one among some blocks, if any of them is alike."""
        is_near = (self.bucket_BH[among] == self.bucket_BH[block]).any(dim=1)
        near = among[is_near.to(among.device)]
        if len(near) == 0:
            return None
        if len(near) > MOST_CANDIDATES:
            distance = (self.point_BH[near] - self.point_BH[block]).square().sum(dim=1)
            near = near[distance.topk(MOST_CANDIDATES, largest=False).indices.to(near.device)]
        num_floats = self.block_BF.shape[1]
        apart = (self.block_BF[near] - self.block_BF[block]).abs_() > self.tolerance
        alike = num_floats - apart.count_nonzero(dim=1)
        best = int(alike.argmax())
        return int(near[best]) if int(alike[best]) >= self.similarity * num_floats else None


def one_pass(left: Tensor, twins: Twins, map_B: Tensor, keep: int) -> Tensor:
    """Map blocks to earlier ones in `map_B`, in the order of `left`; return those that stay, in order."""
    staying = torch.empty_like(left)
    num_staying = 0
    for place, block in enumerate(left.tolist()):
        if num_staying + len(left) - place == keep:
            return torch.cat([staying[:num_staying], left[place:]])
        twin = twins.find(block, staying[:num_staying])
        if twin is None:
            staying[num_staying] = block
            num_staying += 1
        else:
            map_B[block] = twin
    return staying[:num_staying]


def project(block_BF: Tensor, generator: torch.Generator) -> Tensor:
    """Return random projections of the blocks, (B, H); their distances are those of the blocks, more or less."""
    found = block_BF.new_zeros(len(block_BF), NUM_HASHES)
    for part in torch.split(block_BF, PIECE // NUM_HASHES, dim=1):
        found += part @ torch.randn(part.shape[1], NUM_HASHES, generator=generator).to(part.device)
    return found


def third_quartiles(block_BF: Tensor) -> Tensor:
    """Return the value that three quarters of a block's floats do not exceed: (B,)."""
    num_floats = block_BF.shape[1]
    parts = torch.split(block_BF, max(1, PIECE // num_floats))
    return torch.cat([part.kthvalue(math.ceil(0.75 * num_floats), dim=1).values for part in parts])
