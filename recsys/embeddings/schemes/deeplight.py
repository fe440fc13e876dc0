"""Train in full and prune the smallest weights step by step; what is left is served as a sparse matrix.

Paper: Deng et al., "DeepLight: Deep Lightweight Feature Interactions for Accelerating CTR Predictions in Ad Serving",
WSDM 2021, with the sparse formats of Zhang et al., VLDB 2024.

Dimension key: N weights of the table, V ids, D width, E entries of the ids in a batch.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from recsys.config.schemes import TableSection
from recsys.config.schemes.deeplight import DeepLightTable
from recsys.embeddings.scheme import FeatureVocabulary, Scheme, Sizes, StageStep
from recsys.embeddings.schemes.full import Full
from recsys.embeddings.schemes.per_feature import full_if_smaller
from recsys.errors import ConfigError

__all__ = ["DeepLight"]

PRUNE_EVERY = 10
"""Steps."""
RAMP_END = 0.999
"""Share of the zeros that the first stage ends with, unless `ramp` is given."""
MOST_ENTRIES = 2**31 - 1
"""Row pointers are 32-bit integers."""
SAMPLE = 2**22
"""Weights of a larger table that its threshold is estimated from: 4 sigma are a thousandth of the zeros."""
PIECE = 2**20
"""Weights that are worked on at a time."""


class DeepLight(Full):
    """A row for each id, of whose weights a share of `density` is not zero in the end.

    The first stage prunes more and more, and weights may grow again between two prunings. The second keeps to the
    density, and is validated in the form in which it is served.

    DIFF: the benchmark forbids checkpoints before the paper's ramp has had 68,732 steps; here the ramp is as long as
    the first stage. There is no warm-up without pruning: the ramp begins with the first step, and takes few weights at
    first. Exactly round(density * N) weights are served, zeros among them if there are fewer others.

    Example:
        >>> from recsys.config.schemes.deeplight import DeepLightTable
        >>> spec = DeepLightTable(features=("item",), scheme="deeplight", density=0.25)
        >>> table = DeepLight("t", [FeatureVocabulary("item", 3)], 4, spec)
        >>> weights = {"t_table": torch.arange(12.0).view(3, 4)}
        >>> table.next_stage(weights)
        >>> table.before_validation(weights)
        >>> weights["t_table"][2].tolist(), table.serving_bytes()
        ([0.0, 9.0, 10.0, 11.0], 36)
    """

    section = DeepLightTable
    id_collisions = "by_training"

    is_last_stage: Tensor

    def __init__(self, name: str, vocabularies: Sequence[FeatureVocabulary], dim: int, spec: TableSection) -> None:
        super().__init__(name, vocabularies, dim, spec)
        assert isinstance(spec, DeepLightTable)
        assert spec.density is not None
        self.num_rows = self.first_rows[-1]
        self.ramp = spec.ramp
        self.num_entries = max(1, round(spec.density * self.num_rows * dim))
        if self.num_entries > MOST_ENTRIES:
            raise ConfigError(f"tables.{name}: scheme deeplight keeps at most {MOST_ENTRIES:,} weights of a table")
        self.register_buffer("is_last_stage", torch.zeros((), dtype=torch.bool))

    @classmethod
    def build(cls, name: str, vocabularies: Sequence[FeatureVocabulary], dim: int, spec: TableSection) -> list[Scheme]:
        return [full_if_smaller(cls(name, vocabularies, dim, spec))]

    @classmethod
    def size_candidates(cls, vocabularies: Sequence[FeatureVocabulary], dim: int, spec: TableSection) -> Sizes:  # noqa: ARG003
        return Densities(dim * sum(vocabulary.size for vocabulary in vocabularies))

    def share_of_zeros(self, step: StageStep) -> float:
        """Return the share of zeros that pruning leaves at a step of the first stage."""
        ramp = self.ramp or step.num_steps * math.log(0.99) / math.log(1 - RAMP_END)
        goal = 1 - self.num_entries / (self.num_rows * self.dim)
        return float(goal * (1 - 0.99 ** (step.step / ramp)))

    @torch.no_grad()
    def after_step(self, step: StageStep, weights: Mapping[str, Tensor]) -> None:
        if step.step % PRUNE_EVERY:
            return
        weight_N = weights[self.physical_tables()[0].name].view(-1)
        num_left = self.num_entries
        if not self.is_last_stage:
            num_left = len(weight_N) - round(self.share_of_zeros(step) * len(weight_N))
        limit = estimated_limit(weight_N, num_left, seed=step.step)
        for part in pieces(weight_N):
            part.masked_fill_(part.abs() < limit, 0.0)

    @torch.no_grad()
    def before_validation(self, weights: Mapping[str, Tensor]) -> None:
        if self.is_last_stage:
            weight_N = weights[self.physical_tables()[0].name].view(-1)
            weight_N.masked_fill_(~largest(weight_N, self.num_entries), 0.0)

    def next_stage(self, weights: Mapping[str, Tensor]) -> None:  # noqa: ARG002
        self.is_last_stage.fill_(True)

    def serving(self, weights: Mapping[str, Tensor]) -> nn.Module:
        kind = CompressedRows if self.has_pointers() else Coordinates
        return kind(self.first_rows, weights[self.physical_tables()[0].name], self.num_entries)

    def has_pointers(self) -> bool:
        """Say whether pointers to the rows (CSR) are smaller than the rows of all entries (COO).

        The benchmark chooses by the budget, cr * d >= 3, which is the same: both then hold one entry a row.
        """
        return self.num_rows + 1 <= self.num_entries

    def serving_bytes(self) -> int:
        return 4 * (2 * self.num_entries + (self.num_rows + 1 if self.has_pointers() else self.num_entries))


class Densities(Sequence[float]):
    """All densities of a table of `num_weights`, from 1 to that of a single weight."""

    def __init__(self, num_weights: int) -> None:
        self.num_weights = num_weights
        self.most = min(num_weights, MOST_ENTRIES)

    def __len__(self) -> int:
        return self.most

    def __getitem__(self, index: Any) -> Any:
        return (self.most - range(len(self))[index]) / self.num_weights


class SparseRows(nn.Module):
    """The base of both formats: entries by row, the value and the column of each."""

    first_rows: list[int]
    value: Tensor
    column: Tensor

    def __init__(self, first_rows: list[int], weight: Tensor, num_entries: int) -> None:
        super().__init__()
        self.first_rows = first_rows
        self.dim = weight.shape[1]
        place_E = largest(weight.view(-1), num_entries).nonzero().squeeze(1)
        self.register_buffer("value", weight.view(-1)[place_E])
        self.register_buffer("column", (place_E % self.dim).int())
        self.add_rows(place_E // self.dim, len(weight))

    def add_rows(self, row_E: Tensor, num_rows: int) -> None:
        """Store the row of each nonzero entry, in the form of the subclass."""
        raise NotImplementedError

    def fill(self, first_V: Tensor, end_V: Tensor) -> Tensor:
        """Lay the entries first_V[i] .. end_V[i] - 1 into vector i: (V, D)."""
        count_V = end_V - first_V
        num_vectors = first_V.size(0)  # not len, which torch.export takes for a constant
        vector_E = torch.repeat_interleave(torch.arange(num_vectors, device=first_V.device), count_V)
        nth_E = torch.arange(vector_E.size(0), device=first_V.device)
        place_E = nth_E + (first_V - count_V.cumsum(0) + count_V)[vector_E]
        filled_VD = torch.zeros(num_vectors, self.dim, dtype=self.value.dtype, device=first_V.device)
        return filled_VD.index_put_((vector_E, self.column[place_E].long()), self.value[place_E])


class CompressedRows(SparseRows):
    """CSR: for each row where its entries begin."""

    first: Tensor

    def add_rows(self, row_E: Tensor, num_rows: int) -> None:
        end = torch.bincount(row_E, minlength=num_rows).cumsum(0)
        self.register_buffer("first", torch.cat([end.new_zeros(1), end]).int())

    def forward(self, id_V: Tensor, feature_index: int) -> Tensor:
        row_V = id_V + self.first_rows[feature_index]
        return self.fill(self.first[row_V].long(), self.first[row_V + 1].long())


class Coordinates(SparseRows):
    """Sparse rows in COO form: a row number for each entry."""

    row: Tensor

    def add_rows(self, row_E: Tensor, num_rows: int) -> None:  # noqa: ARG002
        self.register_buffer("row", row_E.int())

    def forward(self, id_V: Tensor, feature_index: int) -> Tensor:
        row_V = (id_V + self.first_rows[feature_index]).int()
        return self.fill(torch.searchsorted(self.row, row_V), torch.searchsorted(self.row, row_V, right=True))


def largest(weight_N: Tensor, count: int) -> Tensor:
    """Return (N,) bool: the `count` weights farthest from zero; of equal ones the first."""
    limit, num_ties = limit_of(weight_N, count)
    found = []
    for part in pieces(weight_N):
        size = part.abs()
        is_tie = size == limit
        found.append((size > limit) | (is_tie & (is_tie.cumsum(0) <= num_ties)))
        num_ties -= min(num_ties, int(is_tie.count_nonzero()))
    return torch.cat(found)


def limit_of(weight_N: Tensor, count: int) -> tuple[float, int]:
    """Return the `count`-th largest absolute value, 1 <= count <= N, and how many of that value are among them.

    The bits of floats are ordered as the floats are: count by the upper half of the bits, then by the lower one.
    Two passes that need no copy of a large table.
    """
    upper = torch.zeros(2**15, dtype=torch.int64, device=weight_N.device)
    for part in pieces(weight_N):
        upper += torch.bincount(bits_of(part) >> 16, minlength=2**15)
    first, count = place_of(upper, count)
    lower = torch.zeros(2**16, dtype=torch.int64, device=weight_N.device)
    for part in pieces(weight_N):
        bits = bits_of(part)
        lower += torch.bincount(bits[bits >> 16 == first] & 0xFFFF, minlength=2**16)
    second, count = place_of(lower, count)
    return float(torch.tensor(first << 16 | second, dtype=torch.int32).view(torch.float32)), count


def place_of(counts: Tensor, count: int) -> tuple[int, int]:
    """Return the bin of the `count`-th item from the end, and that item's rank within the bin, from 1."""
    up_to = counts.flip(0).cumsum(0)
    place = int(torch.searchsorted(up_to, count))
    before = int(up_to[place - 1]) if place else 0
    return len(counts) - 1 - place, count - before


def estimated_limit(weight_N: Tensor, count: int, *, seed: int) -> float:
    """Return the `count`-th largest absolute value, of large tables that of a sample."""
    if len(weight_N) > SAMPLE:
        drawn = torch.randint(len(weight_N), (SAMPLE,), generator=torch.Generator().manual_seed(seed))
        count = max(1, round(SAMPLE * count / len(weight_N)))
        weight_N = weight_N[drawn.to(weight_N.device)]
    return limit_of(weight_N, count)[0]


def pieces(weight_N: Tensor) -> tuple[Tensor, ...]:
    """Return views of a table that leave room for copies of one of them."""
    return torch.split(weight_N, PIECE)


def bits_of(weight_N: Tensor) -> Tensor:
    """Return the bits of absolute values: (N,) int32."""
    return weight_N.abs().view(torch.int32)
