"""Slices of one circular array of floats, at hashed places and with hashed signs.

Paper: Desai, Chou, Shrivastava, "Random Offset Block Embedding (ROBE) for Compressed Embedding Tables in Deep
Learning Recommendation Systems", MLSys 2022 (ROBE-Z).

    chunk c of an id:   array  [ row s // Z ][ row s // Z + 1 ]      s = hash(feature, id, c) mod size
                                      |---- Z floats ----|
                                      s % Z

Dimension key: V ids, C chunks of an embedding, Z floats of a chunk, K = 2C physical lookups, D = CZ.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from recsys.config.schemes import TableSection
from recsys.config.schemes.robe import RobeTable
from recsys.embeddings.hashing import expected_collisions, mix64, name_salt
from recsys.embeddings.scheme import FeatureVocabulary, PhysicalTable, Scheme, Sizes
from recsys.embeddings.schemes.hash import most_rows
from recsys.embeddings.schemes.per_feature import full_table, per_feature, proportional_sizes, split_small

__all__ = ["Robe"]


class Robe(Scheme):
    """ROBE-Z with Z = `chunk` over an array of `size` floats, stored as rows of Z.

    A slice begins anywhere, so it lies in one row and the one after it (the first follows the last): two lookups for
    each chunk, from which `combine` cuts it. The array is thus a table like any other, sharded and updated sparsely.
    Signs change no variance: embeddings start as those of a full table.

    DIFF: rows of an array, which read 2Z floats for Z; the paper's kernel reads the array float by float. Row-wise
    optimizers therefore share their state between slices that meet in a row. Offsets and signs are splitmix64 under the
    feature's name, not an affine hash of the id in a joint vocabulary.

    Example:
        >>> spec = RobeTable(features=("item",), scheme="robe", size=100, chunk=4)
        >>> table = Robe("t", [FeatureVocabulary("item", None)], 8, spec)
        >>> [(t.rows, t.dim) for t in table.physical_tables()], table.remap(torch.tensor([7, 8]), 0).shape
        ([(25, 4)], torch.Size([4, 2]))
    """

    section = RobeTable
    salts: list[list[int]]
    sign_salts: list[list[int]]

    def __init__(self, name: str, vocabularies: Sequence[FeatureVocabulary], dim: int, spec: TableSection) -> None:
        super().__init__(name, vocabularies, dim, spec)
        assert isinstance(spec, RobeTable)
        assert spec.size is not None
        self.chunk = spec.chunk or dim
        self.rows = spec.size // self.chunk
        assert dim % self.chunk == 0, "checked with the configuration"
        assert self.rows * self.chunk >= dim, "two floats of an embedding must not be one of the array"
        self.word = min(64, dim)  # signs that one hash gives: a bit for each
        chunks, words = dim // self.chunk, -(-dim // self.word)
        self.salts = [[name_salt(f"{vocabulary.name}#{c}") for c in range(chunks)] for vocabulary in vocabularies]
        self.sign_salts = [
            [name_salt(f"{vocabulary.name}#sign{w}") for w in range(words)] for vocabulary in vocabularies
        ]

    @classmethod
    def build(cls, name: str, vocabularies: Sequence[FeatureVocabulary], dim: int, spec: TableSection) -> list[Scheme]:
        assert isinstance(spec, RobeTable)
        hashed, exact = split_small(vocabularies, spec.exact_below)
        found: list[Scheme] = []
        if spec.per_feature:
            sizes = [max(dim, size) for size in proportional_sizes(spec.size or 0, hashed)]
            found = per_feature(cls, name, hashed, dim, spec, sizes=sizes)
        elif hashed:
            found = super().build(name, hashed, dim, spec)
        return found + [full_table(f"{name}/{vocabulary.name}", [vocabulary], dim, spec) for vocabulary in exact]

    @classmethod
    def size_candidates(cls, vocabularies: Sequence[FeatureVocabulary], dim: int, spec: TableSection) -> Sizes:
        assert isinstance(spec, RobeTable)
        hashed, _ = split_small(vocabularies, spec.exact_below)
        return range(dim * max(1, most_rows(hashed)), dim - 1, -(spec.chunk or dim))

    def tables(self, feature_index: int) -> list[PhysicalTable]:
        return [self.table("", self.rows, self.chunk)] * (2 * len(self.salts[feature_index]))

    def remap(self, id_V: Tensor, feature_index: int) -> Tensor:
        first_CV = torch.div(self._offsets(id_V, feature_index), self.chunk, rounding_mode="floor")
        return torch.stack([first_CV, torch.remainder(first_CV + 1, self.rows)], dim=1).flatten(0, 1)

    def lookup_positions(self, id_V: Tensor, feature_index: int) -> Tensor:
        return self._offsets(id_V, feature_index)  # slices of one row may begin at different floats

    def expected_id_collisions(self, feature_index: int) -> float:
        log_buckets = len(self.salts[feature_index]) * math.log(self.rows * self.chunk)
        return expected_collisions(self.vocabularies[feature_index].size, log_buckets)

    def combine(self, rows: list[Tensor], id_V: Tensor, feature_index: int) -> Tensor:
        """Cut each chunk out of its two rows (V, Z), lay the chunks side by side and give floats their signs."""
        within_CV = torch.remainder(self._offsets(id_V, feature_index), self.chunk)
        place_Z = torch.arange(self.chunk, device=id_V.device)
        slices: list[Tensor] = []
        for c in range(len(rows) // 2):
            both_VE = torch.cat([rows[2 * c], rows[2 * c + 1]], dim=1)
            slices.append(both_VE.gather(1, within_CV[c].unsqueeze(1) + place_Z))
        return torch.cat(slices, dim=1) * self._signs(id_V, feature_index)

    def _offsets(self, id_V: Tensor, feature_index: int) -> Tensor:
        """Return where in the array each chunk begins, (C, V)."""
        salt_C = torch.tensor(self.salts[feature_index], dtype=torch.int64, device=id_V.device)
        return torch.remainder(mix64(id_V.unsqueeze(0) ^ salt_C.unsqueeze(1)), self.rows * self.chunk)

    def _signs(self, id_V: Tensor, feature_index: int) -> Tensor:
        """Return +1 or -1 for each float of each embedding, (V, D): bits of hashes of the id."""
        salt_W = torch.tensor(self.sign_salts[feature_index], dtype=torch.int64, device=id_V.device)
        word_VW = mix64(id_V.unsqueeze(1) ^ salt_W)
        bit_S = torch.arange(self.word, device=id_V.device)
        bit_VD = ((word_VW.unsqueeze(2) >> bit_S) & 1).flatten(1)[:, : self.dim]
        return (1 - 2 * bit_VD).float()
