"""Deep hash embeddings: no table, but many hashes of the id, through an MLP.

Paper: Kang et al., "Learning to Embed Categorical Features without Embedding Tables for Recommendation", KDD 2021;
sizes are counted as in the survey of Zhang et al. 2024 (arXiv 2311.15578).
DIFF: hashes are 16-bit pieces of 64-bit mixes of the salted id, not 1024 universal hashes modulo 10^6 with stored
primes: nothing to store, no overflow, and four hashes for one mix.
DIFF: the MLP sees each id of a batch once, and so do its batch statistics, on however many ranks it is used: an id
that is used a thousand times costs and counts as much as one that is used once. The paper normalizes over uses.
DIFF: no bias before a batch normalization, which would take it away again.
DIFF: the last layer starts so small that fresh embeddings have a standard deviation of about 0.02, near the 0.01 of
fresh rows; by the usual start of a linear layer they would be about as large as the activations.

Dimension key: V ids, U distinct ids among them, B of them in a block, H hashes, M 64-bit mixes, W width of the hidden
layers, D width of the embedding.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.jit import is_scripting  # type: ignore[attr-defined]
from torch.nn import functional

from recsys.config.schemes import TableSection
from recsys.config.schemes.dhe import DheTable
from recsys.embeddings.hashing import mix64, name_salt, salted
from recsys.embeddings.scheme import FeatureVocabulary, PhysicalTable, Scheme, Sizes
from recsys.embeddings.schemes.per_feature import full_table
from recsys.ranks import all_gather_rows, current_world
from recsys.ranks.batch_norm import BatchNorm

__all__ = ["Dhe", "encode"]

MOST_UNITS = 2**16
"""Widest hidden layer that a budget is solved to."""
CHUNK = 2**15
"""Ids that go through the MLP at a time when they need not be normalized together."""
OUTPUT_SCALE = 0.04
"""Gives fresh embeddings a standard deviation of about 0.02, in eval mode somewhat less."""


def encode(id_U: Tensor, salt: int, num_hashes: int) -> Tensor:
    """Hash ids to floats that are uniform in [-1, 1): (U,) int64 -> (U, H) float32.

    The mixes of an id are the splitmix64 sequence that starts at the salted id.

    Example:
        >>> codes = encode(torch.tensor([1, 2]), 5, 1000)
        >>> codes.shape, round(float(codes.square().mean()), 1)
        (torch.Size([2, 1000]), 0.3)
    """
    num_mixes = (num_hashes + 3) // 4
    seed_U = salted(id_U, salt)
    step_M = torch.arange(num_mixes, device=id_U.device) * -7046029254386353131  # 0x9E3779B97F4A7C15
    if not is_scripting():  # noqa: SIM102  # TorchScript leaves out a branch by this form alone
        if torch.compiler.is_exporting():  # which knows no loop over as many blocks as there are
            mix_UM = mix64(seed_U.unsqueeze(1) + step_M)
            parts = [(mix_UM >> (16 * i)).to(torch.int16) for i in range(4)]
            return torch.stack(parts, dim=1).flatten(1)[:, :num_hashes] * (1 / 32768)
    hash_U4M = torch.empty(len(id_U), 4, num_mixes, device=id_U.device)
    block = max(1, len(id_U)) if id_U.is_cuda else 128  # of mixes that stay in a CPU's cache: 3 times as fast
    for first in range(0, len(id_U), block):
        mix_BM = mix64(seed_U[first : first + block].unsqueeze(1) + step_M)
        for i in range(4):
            hash_U4M[first : first + block, i] = (mix_BM >> (16 * i)).to(torch.int16)  # keeps the low 16 bits, signed
    return hash_U4M.flatten(1)[:, :num_hashes].mul_(1 / 32768)


class Dhe(Scheme):
    """An MLP for each feature; features whose MLP would not be smaller have a full table.

    Example:
        >>> from recsys.config.schemes.dhe import DheTable
        >>> spec = DheTable(features=("item",), scheme="dhe", width=32, hashes=64)
        >>> Dhe("t", [FeatureVocabulary("item", None)], 4, spec).combine([], torch.tensor([7, 8, 7]), 0).shape
        torch.Size([3, 4])
    """

    section = DheTable
    id_collisions = "by_training"

    def __init__(self, name: str, vocabularies: Sequence[FeatureVocabulary], dim: int, spec: TableSection) -> None:
        super().__init__(name, vocabularies, dim, spec)
        assert isinstance(spec, DheTable)
        assert spec.width is not None
        self.salt = name_salt(vocabularies[0].name)
        self.num_hashes = spec.hashes
        widths = [spec.hashes, *[spec.width] * spec.layers]
        self.hidden = nn.ModuleList(nn.Linear(i, o, bias=False) for i, o in pairwise(widths))
        self.norms = nn.ModuleList(BatchNorm(spec.width) for _ in range(spec.layers))
        self.out = nn.Linear(spec.width, dim)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Keep the variance of each layer near 1, so that moving averages are about right from the first step."""
        for layer in self.hidden:
            assert isinstance(layer, nn.Linear)
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        nn.init.normal_(self.out.weight, std=OUTPUT_SCALE / math.sqrt(self.out.in_features))
        nn.init.zeros_(self.out.bias)

    @classmethod
    def build(cls, name: str, vocabularies: Sequence[FeatureVocabulary], dim: int, spec: TableSection) -> list[Scheme]:
        """Build a scheme for each feature; sizes are compared first, since an MLP may be larger than a small table."""
        return [
            cls.for_feature(name, vocabulary, dim, spec)
            if vocabulary.num_ids is None or counted_floats(dim, spec) < dim * vocabulary.num_ids
            else full_table(f"{name}/{vocabulary.name}", [vocabulary], dim, spec)
            for vocabulary in vocabularies
        ]

    @classmethod
    def size_candidates(cls, vocabularies: Sequence[FeatureVocabulary], dim: int, spec: TableSection) -> Sizes:  # noqa: ARG003
        return range(MOST_UNITS, 0, -1)

    @classmethod
    def size_for(cls, vocabularies: Sequence[FeatureVocabulary], dim: int, spec: TableSection) -> int:
        """Count as the survey does, batch normalizations included, so that budgets give its widths."""
        counted = counted_floats(dim, spec)
        sizes = [counted if m.num_ids is None else min(counted, dim * m.num_ids) for m in vocabularies]
        return 4 * sum(sizes)

    def tables(self, feature_index: int) -> list[PhysicalTable]:  # noqa: ARG002
        return []

    def remap(self, id_V: Tensor, feature_index: int) -> Tensor:  # noqa: ARG002
        return id_V.new_empty(0, len(id_V))

    def combine(self, rows: list[Tensor], id_V: Tensor, feature_index: int) -> Tensor:  # noqa: ARG002
        id_U, use_V = torch.unique(id_V, return_inverse=True)
        if self.training:
            return self._embed(id_U, shares(id_U))[use_V]
        return torch.cat([self._embed(chunk) for chunk in id_U.split(CHUNK)])[use_V]

    def _embed(self, id_U: Tensor, share_U1: Tensor | None = None) -> Tensor:
        unit_UW = encode(id_U, self.salt, self.num_hashes)
        for layer, norm in zip(self.hidden, self.norms, strict=True):
            unit_UW = functional.mish(norm(layer(unit_UW), share_U1))
        embedding: Tensor = self.out(unit_UW).float()  # as rows are, also under autocast
        return embedding

    def serving(self, weights: Mapping[str, Tensor]) -> nn.Module:  # noqa: ARG002
        return FoldedMlp(self)

    def serving_bytes(self) -> int:
        assert isinstance(self.spec, DheTable)
        return 4 * folded_floats(self.dim, self.spec)


def shares(id_U: Tensor) -> Tensor | None:
    """Return 1 / the ranks that use an id in this batch: (U, 1), or None if there is one rank."""
    if current_world().size == 1:
        return None
    known_N, ranks_N = torch.unique(torch.cat(all_gather_rows(id_U)), return_counts=True)
    ranks_U: Tensor = ranks_N[torch.searchsorted(known_N, id_U)]
    return ranks_U.unsqueeze(1).reciprocal()


class FoldedMlp(nn.Module):
    """The serving form: linear layers with the batch normalizations multiplied in, (id_V, feature_index) -> (V, D)."""

    def __init__(self, scheme: Dhe) -> None:
        super().__init__()
        self.salt = scheme.salt
        self.num_hashes = scheme.num_hashes
        self.chunk = CHUNK
        self.hidden = nn.ModuleList(fold(i, o) for i, o in zip(scheme.hidden, scheme.norms, strict=True))
        self.out = linear(scheme.out.weight, scheme.out.bias)

    def forward(self, id_V: Tensor, feature_index: int) -> Tensor:  # noqa: ARG002
        id_U, use_V = torch.unique(id_V, return_inverse=True)
        if not is_scripting():  # noqa: SIM102  # TorchScript leaves out a branch by this form alone
            if torch.compiler.is_exporting():  # which knows no loop over as many chunks as there are
                return self.embed(id_U)[use_V]
        found = [self.embed(chunk) for chunk in id_U.split(self.chunk)]
        return torch.cat(found)[use_V]

    def embed(self, id_U: Tensor) -> Tensor:
        """Embed distinct ids, (U, D)."""
        unit_UW = encode(id_U, self.salt, self.num_hashes)
        for layer in self.hidden:
            unit_UW = functional.mish(layer(unit_UW))
        embedding: Tensor = self.out(unit_UW)
        return embedding


@torch.no_grad()
def fold(layer: nn.Module, norm: nn.Module) -> nn.Linear:
    """Return the linear layer that does what a layer and the batch normalization behind it do in eval mode."""
    assert isinstance(layer, nn.Linear)
    assert isinstance(norm, BatchNorm)
    assert norm.weight is not None
    assert norm.bias is not None
    scale = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
    weight = layer.weight.double() * scale.unsqueeze(1)
    return linear(weight.float(), (norm.bias.double() - norm.running_mean.double() * scale).float())


def linear(weight: Tensor, bias: Tensor) -> nn.Linear:
    """Return a linear layer with these weights, which are not trained."""
    made = nn.Linear(weight.shape[1], weight.shape[0], device="meta")
    made.weight = nn.Parameter(weight.detach(), requires_grad=False)
    made.bias = nn.Parameter(bias.detach(), requires_grad=False)
    return made


def folded_floats(dim: int, spec: DheTable) -> int:
    """Return the floats of the serving form of one feature."""
    width = spec.width or 0
    return (spec.hashes + 1) * width + (spec.layers - 1) * (width + 1) * width + (width + 1) * dim


def counted_floats(dim: int, spec: TableSection) -> int:
    """Return the survey's count for one feature: (k+1)w + 4w(w+1) + (d+1)w + 10w.

    It is more than the serving form has, but for a hidden layer that is far narrower than the embedding.
    """
    assert isinstance(spec, DheTable)
    width = spec.width or 0
    hidden = (spec.hashes + 1) * width + (spec.layers - 1) * (width + 1) * width
    return max(hidden + (dim + 1) * width + 2 * spec.layers * width, folded_floats(dim, spec))
