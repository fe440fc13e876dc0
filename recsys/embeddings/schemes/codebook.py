"""Product quantization that is learned with the model: what `dpq` and `mgqe` share.

A full table is trained. Each part of its rows is replaced by the nearest centroid of that part's codebook, and the
gradient goes straight through to the row; the codebook follows the rows by a loss of its own. Served are the codes,
packed to bits, and the codebooks.

DIFF: the nearest centroid wins, in training too. The papers' code batch-normalizes distances over the centroids, which
makes another one win than the nearest, and depends on the batch.
DIFF: nothing is encoded before it is asked for or exported, so no code is older than its row or its codebook, and ids
that training never saw have codes like all others.

Dimension key: V ids, U distinct ids among them, P parts of an embedding, C centroids of a part, S floats of a part,
D = P * S width of the embedding, B bytes of an id's codes.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from recsys.config.schemes import TableSection
from recsys.config.schemes.dpq import DpqTable
from recsys.config.schemes.mgqe import MgqeTable
from recsys.embeddings.scheme import FeatureVocabulary, Init, PhysicalTable, Scheme, Sizes
from recsys.embeddings.schemes.per_feature import per_feature
from recsys.ranks import current_world, sum_over_ranks

__all__ = ["CodeReader", "Quantized", "centroids", "nearest", "pack", "unpack"]

COMPARED = {"cpu": 2**18, "cuda": 2**24}
"""Distances that are computed at a time: what fits a cache, or what keeps a GPU busy."""


class Quantized(Scheme):
    """One feature, the embedding of each of whose ids is made of centroids; hot ids choose among more of them.

    Args:
        num_hot: ids, by falling training frequency, that choose among all `choices` of the section.
        cold_choices: centroids among which the others choose, the first ones.
    """

    id_collisions = "by_training"
    rank: Tensor  # (ids,) int32, or (0,) where ids are in the order of frequency

    def __init__(
        self,
        name: str,
        vocabularies: Sequence[FeatureVocabulary],
        dim: int,
        spec: TableSection,
        *,
        num_hot: int,
        cold_choices: int,
    ) -> None:
        super().__init__(name, vocabularies, dim, spec)
        assert isinstance(spec, DpqTable | MgqeTable)
        assert spec.parts is not None
        self.num_ids = vocabularies[0].size
        self.num_hot = num_hot
        self.num_parts = spec.parts
        self.choices = spec.choices
        self.cold_choices = cold_choices
        self.codebook = nn.Parameter(torch.empty(spec.parts, spec.choices, dim // spec.parts))
        Init()(self.codebook)  # as fresh rows
        ranks = vocabularies[0].ranks if num_hot < self.num_ids else None
        self.register_buffer("rank", torch.empty(0, dtype=torch.int32) if ranks is None else ranks.int())
        self._loss: Tensor | None = None

    @classmethod
    def build(cls, name: str, vocabularies: Sequence[FeatureVocabulary], dim: int, spec: TableSection) -> list[Scheme]:
        assert isinstance(spec, DpqTable | MgqeTable)
        return per_feature(cls, name, vocabularies, dim, spec)

    @classmethod
    def size_candidates(cls, vocabularies: Sequence[FeatureVocabulary], dim: int, spec: TableSection) -> Sizes:  # noqa: ARG003
        return [parts for parts in range(dim, 0, -1) if dim % parts == 0]

    def tables(self, feature_index: int) -> list[PhysicalTable]:  # noqa: ARG002
        return [self.table("", self.num_ids, self.dim)]

    def remap(self, id_V: Tensor, feature_index: int) -> Tensor:  # noqa: ARG002
        return id_V.unsqueeze(0)

    def combine(self, rows: list[Tensor], id_V: Tensor, feature_index: int) -> Tensor:  # noqa: ARG002
        (row_VD,) = rows
        centroid_VD = centroids(self.encode(row_VD.detach(), id_V), self.codebook)
        if self.training:  # also without ids: DistributedDataParallel wants the codebook to be used in every step
            loss = (centroid_VD - row_VD.detach()).square().sum() / (self.dim * uses_per_rank(row_VD))
            self._loss = loss if self._loss is None else self._loss + loss
        return centroid_VD.detach() + (row_VD - row_VD.detach())  # straight through: adds exactly 0

    def encode(self, row_VD: Tensor, id_V: Tensor) -> Tensor:
        """Return the nearest centroid of each part of the rows of some ids: (V, P) int64."""
        id_U, use_V = torch.unique(id_V, return_inverse=True)
        row_UD = row_VD.new_empty(len(id_U), self.dim)
        row_UD[use_V] = row_VD  # uses of one id have the same row
        if self.num_hot == self.num_ids:
            code_UP = nearest(row_UD, self.codebook)
        else:
            is_hot_U = (self.rank[id_U] if len(self.rank) else id_U) < self.num_hot
            code_UP = id_U.new_empty(len(id_U), self.num_parts)
            code_UP[is_hot_U] = nearest(row_UD[is_hot_U], self.codebook)
            code_UP[~is_hot_U] = nearest(row_UD[~is_hot_U], self.codebook[:, : self.cold_choices])
        return code_UP.index_select(0, use_V)

    def pop_aux_loss(self) -> Tensor | None:
        loss, self._loss = self._loss, None
        return loss

    @torch.no_grad()
    def serving(self, weights: Mapping[str, Tensor]) -> nn.Module:
        row_ND = weights[self.tables(0)[0].name].float()
        if len(self.rank):  # codes lie in the order of frequency
            row_ND = row_ND[self.rank.argsort()]
        cold_PCS = self.codebook[:, : self.cold_choices]
        return CodeReader(
            hot_codes=pack(nearest(row_ND[: self.num_hot], self.codebook), bits_of(self.choices)),
            cold_codes=pack(nearest(row_ND[self.num_hot :], cold_PCS), bits_of(self.cold_choices)),
            codebook=self.codebook.detach(),
            rank=self.rank,
            hot_bits=bits_of(self.choices),
            cold_bits=bits_of(self.cold_choices),
        )

    def serving_bytes(self) -> int:
        hot = self.num_hot * packed_bytes(self.num_parts, bits_of(self.choices))
        cold = (self.num_ids - self.num_hot) * packed_bytes(self.num_parts, bits_of(self.cold_choices))
        return hot + cold + 4 * (self.codebook.numel() + self.rank.numel())


class CodeReader(nn.Module):
    """The serving form: packed codes and a codebook, (id_V, feature_index) -> (V, D).

    Args:
        hot_codes: (hot ids, B) uint8.
        cold_codes: (other ids, B) uint8.
        codebook: (P, C, S); shared, not copied.
        rank: (ids,) int32, place of each id's codes; (0,) if it is the id.
        hot_bits: of one code of a hot id.
        cold_bits: of one code of another id.
    """

    rank: Tensor
    hot_codes: Tensor
    cold_codes: Tensor

    def __init__(
        self,
        *,
        hot_codes: Tensor,
        cold_codes: Tensor,
        codebook: Tensor,
        rank: Tensor,
        hot_bits: int,
        cold_bits: int,
    ) -> None:
        super().__init__()
        self.register_buffer("hot_codes", hot_codes)
        self.register_buffer("cold_codes", cold_codes)
        self.register_buffer("rank", rank)
        self.codebook = nn.Parameter(codebook, requires_grad=False)
        self.num_hot = len(hot_codes)
        self.hot_bits = hot_bits
        self.cold_bits = cold_bits

    def forward(self, id_V: Tensor, feature_index: int) -> Tensor:  # noqa: ARG002
        return centroids(self.codes(id_V), self.codebook)

    def codes(self, id_V: Tensor) -> Tensor:
        """Return the codes of ids, (V, P) int64."""
        num_parts = self.codebook.shape[0]
        rank_V = id_V if len(self.rank) == 0 else self.rank[id_V].long()
        if len(self.cold_codes) == 0:
            return unpack(self.hot_codes[rank_V], self.hot_bits, num_parts)
        hot_VP = unpack(self.hot_codes[rank_V.clamp(max=self.num_hot - 1)], self.hot_bits, num_parts)
        cold_VP = unpack(self.cold_codes[(rank_V - self.num_hot).clamp(min=0)], self.cold_bits, num_parts)
        return torch.where((rank_V < self.num_hot).unsqueeze(1), hot_VP, cold_VP)


def uses_per_rank(row_VD: Tensor) -> Tensor | float:
    """Return the uses of ids in the batch of all ranks, at least 1, divided by the ranks.

    A sum over a rank's uses divided by this is its part of the mean times the number of ranks, by which
    DistributedDataParallel divides the sum of their gradients.
    """
    size = current_world().size
    if size == 1:
        return max(1, len(row_VD))
    return sum_over_ranks(torch.full((), float(len(row_VD)), device=row_VD.device)).clamp(min=1) / size


@torch.no_grad()
def nearest(row_VD: Tensor, codebook_PCS: Tensor) -> Tensor:
    """Return the centroid nearest to each part of each row: (V, P) int64.

    In float64: in float32 two centroids at nearly the same distance would change places with the size of the batch,
    and what is exported would not be what was evaluated.
    """
    centroid_PCS = codebook_PCS.double()
    half_norm_P1C = centroid_PCS.square().sum(dim=2).unsqueeze(1) / 2
    num_parts, num_choices, part_dim = codebook_PCS.shape
    found = []
    for row_UD in torch.split(row_VD, max(1, COMPARED[row_VD.device.type] // (num_parts * num_choices))):
        part_PUS = row_UD.double().view(-1, num_parts, part_dim).transpose(0, 1)
        closeness_PUC = torch.baddbmm(half_norm_P1C, part_PUS, centroid_PCS.transpose(1, 2), beta=-1)
        found.append(closeness_PUC.max(dim=2).indices.t())  # 4 times as fast as argmax
    return torch.cat(found)


def centroids(code_VP: Tensor, codebook_PCS: Tensor) -> Tensor:
    """Lay the centroids of the parts side by side, (V, D)."""
    num_parts, num_choices, _ = codebook_PCS.shape
    first_P = torch.arange(num_parts, device=code_VP.device) * num_choices
    return codebook_PCS.flatten(0, 1)[code_VP + first_P].flatten(1)


def bits_of(choices: int) -> int:
    """Return the bits of a code."""
    return (choices - 1).bit_length()


def packed_bytes(num_parts: int, bits: int) -> int:
    """Return the bytes of the codes of one id; each id begins with a byte of its own."""
    return (num_parts * bits + 7) // 8


def pack(code_VP: Tensor, bits: int) -> Tensor:
    """Lay codes of up to 8 bits end to end, lowest bits first: (V, P) int64 -> (V, B) uint8.

    >>> pack(torch.tensor([[1, 2, 3]]), 6).tolist()  # 1 + (2 << 6) + (3 << 12) = 129 + (48 << 8)
    [[129, 48, 0]]
    """
    num_ids, num_parts = code_VP.shape
    bit_P = torch.arange(num_parts, device=code_VP.device) * bits
    wide_VP = code_VP << (bit_P & 7)
    byte_VB = code_VP.new_zeros(num_ids, packed_bytes(num_parts, bits) + 1)
    byte_VB.index_add_(1, bit_P >> 3, wide_VP & 255)
    byte_VB.index_add_(1, (bit_P >> 3) + 1, wide_VP >> 8)
    return byte_VB[:, :-1].to(torch.uint8)


def unpack(byte_VB: Tensor, bits: int, num_parts: int) -> Tensor:
    """Undo `pack`: (V, B) uint8 -> (V, P) int64."""
    bit_P = torch.arange(num_parts, device=byte_VB.device) * bits
    low_P = bit_P >> 3
    high_P = (low_P + 1).clamp(max=byte_VB.shape[1] - 1)  # the last byte twice: a code that ends in it needs no other
    wide_VB = byte_VB.long()
    pair_VP = wide_VB[:, low_P] | (wide_VB[:, high_P] << 8)
    return (pair_VP >> (bit_P & 7)) & ((1 << bits) - 1)
