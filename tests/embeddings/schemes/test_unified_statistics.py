"""What sharing rows costs and gains, on planted data: the statistical checks of feature multiplexing.

Small models in plain torch around the schemes. All rows are dense parameters here, so that one optimizer fits all.

Dimension key: B rows of the data, T fields, D width of a field.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from recsys.config.schemes.full import FullTable
from recsys.config.schemes.hash import HashTable
from recsys.config.schemes.unified import UnifiedTable
from recsys.embeddings import FeatureVocabulary, Hash, Scheme
from recsys.embeddings.schemes.full import Full
from recsys.embeddings.schemes.unified import Unified

pytestmark = pytest.mark.proof

SIZES = (10, 25, 60, 150, 400, 1000, 2500, 5000)
TOTAL = sum(SIZES)
TRAIN, VALID = 30_000, 15_000
DIM = 8


def vocabularies(sizes: Sequence[int]) -> list[FeatureVocabulary]:
    return [FeatureVocabulary(f"f{t}", n) for t, n in enumerate(sizes)]


def unified(rows: int, *, sizes: Sequence[int] = SIZES, dim: int = DIM, **keys: Any) -> list[Scheme]:
    names = tuple(vocabulary.name for vocabulary in vocabularies(sizes))
    return Unified.build(
        "t", vocabularies(sizes), dim, UnifiedTable(features=names, scheme="unified", rows=rows, **keys)
    )


def split(rows: int, hashing: str) -> list[Scheme]:
    names = tuple(vocabulary.name for vocabulary in vocabularies(SIZES))
    spec = HashTable(features=names, scheme="hash", rows=rows, per_feature=True, hashing=hashing)  # type: ignore[arg-type]
    return Hash.build("t", vocabularies(SIZES), DIM, spec)


def full() -> list[Scheme]:
    names = tuple(vocabulary.name for vocabulary in vocabularies(SIZES))
    return [Full("t", vocabularies(SIZES), DIM, FullTable(features=names))]


@cache
def log(seed: int, sizes: tuple[int, ...] = SIZES) -> tuple[Tensor, Tensor]:
    """Ids (B, T), Zipf in each field, and labels (B,) whose logit is a sum of one weight for each id."""
    generator = torch.Generator().manual_seed(seed)
    ids, logit_B = [], torch.zeros(TRAIN + VALID)
    for n in sizes:
        share = 1 / torch.arange(1, n + 1).double()
        id_B = torch.multinomial(share, TRAIN + VALID, replacement=True, generator=generator)
        ids.append(id_B)
        logit_B += torch.randn(n, generator=generator)[id_B]
    label_B = (torch.rand(TRAIN + VALID, generator=generator) < torch.sigmoid(logit_B)).float()
    return torch.stack(ids, dim=1), label_B


class Reader(nn.Module):
    """A table of several fields, and a tower on their vectors: mlp and linear read each by weights of its own."""

    def __init__(self, parts: Sequence[Scheme], kind: str) -> None:
        super().__init__()
        self.parts, self.kind = parts, kind
        places = {m.name: (part, i) for part in parts for i, m in enumerate(part.vocabularies)}
        self.fields = [places[f"f{t}"] for t in range(len(places))]
        physical = {t.name: t for part in parts for t in part.physical_tables()}
        self.rows = nn.ParameterDict({name: 0.03 * torch.randn(t.rows, t.dim) for name, t in physical.items()})
        widths = [part.width(feature_index) for part, feature_index in self.fields]
        self.linear = nn.Linear(sum(widths), 1)
        self.mlp = nn.Sequential(nn.Linear(sum(widths), 64), nn.ReLU(), nn.Linear(64, 1))

    def forward(self, id_BT: Tensor) -> Tensor:
        vectors = []
        for t, (part, feature_index) in enumerate(self.fields):
            row_KB = part.remap(id_BT[:, t], feature_index)
            looked = [
                self.rows[table.name][row_B] for table, row_B in zip(part.tables(feature_index), row_KB, strict=True)
            ]
            vectors.append(part.combine(looked, id_BT[:, t], feature_index))
        if self.kind == "fm":
            row_BTD = torch.stack(vectors, dim=1)
            pairs_B = row_BTD[:, :, 1:].sum(1).square().sum(1) - row_BTD[:, :, 1:].square().sum((1, 2))
            return row_BTD[:, :, 0].sum(1) + pairs_B / 2 + self.linear.bias
        tower = self.mlp if self.kind == "mlp" else self.linear
        logit_B: Tensor = tower(torch.cat(vectors, dim=1)).squeeze(1)
        return logit_B


def fitted(
    parts: Sequence[Scheme], *, seed: int, reader: str = "mlp", sizes: tuple[int, ...] = SIZES, epochs: int = 4
) -> tuple[float, Reader]:
    """Train, and return the best validation logloss of an epoch and the model."""
    torch.manual_seed(seed)
    id_BT, label_B = log(seed, sizes)
    model = Reader(parts, reader)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    best = float("inf")
    for _ in range(epochs):
        for batch in torch.randperm(TRAIN).split(500):
            optimizer.zero_grad()
            functional.binary_cross_entropy_with_logits(model(id_BT[batch]), label_B[batch]).backward()
            optimizer.step()
        with torch.no_grad():
            loss = functional.binary_cross_entropy_with_logits(model(id_BT[TRAIN:]), label_B[TRAIN:])
        best = min(best, float(loss))
    return best, model


def loss(parts: Sequence[Scheme], **keys: Any) -> float:
    return fitted(parts, **keys)[0]


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def test_one_shared_table_beats_a_split_one_at_a_tenth_of_the_rows() -> None:
    rows, seeds = TOTAL // 10, range(5)
    shared = [loss(unified(rows), seed=seed) for seed in seeds]
    scrambled = [loss(split(rows, "random"), seed=seed) for seed in seeds]
    modulo = [loss(split(rows, "modulo"), seed=seed) for seed in seeds]
    without = [loss(full(), seed=seed) for seed in seeds]
    for name, losses in {"full": without, "shared": shared, "split": scrambled, "split, modulo": modulo}.items():
        print(f"{name}: logloss {mean(losses):.4f}: {', '.join(f'{one:.4f}' for one in losses)}")
    assert sum(one < other for one, other in zip(shared, scrambled, strict=True)) >= 4


def cosines(dim: int, rows: int) -> Tensor:
    """Mean |cos| and mean cos^2 of all pairs of trained readers, over seeds: (2,)."""
    found = []
    for seed in range(3):
        _, model = fitted(unified(rows, dim=dim), seed=seed, reader="linear")
        reader_TD = functional.normalize(model.linear.weight.detach().view(len(SIZES), dim), dim=1)
        pairs = (reader_TD @ reader_TD.T)[*torch.triu_indices(len(SIZES), len(SIZES), 1)]
        found.append(torch.stack([pairs.abs().mean(), pairs.square().mean()]))
    return torch.stack(found).mean(dim=0)


def test_readers_turn_away_from_each_other_as_the_table_shrinks() -> None:
    wide = {rows: cosines(16, rows) for rows in (TOTAL, TOTAL // 10, TOTAL // 50)}
    narrow = cosines(4, TOTAL // 50)
    for rows, found in wide.items():
        print(f"16 wide, {rows} rows: mean |cos| {found[0]:.3f}")
    print(f"4 wide, {TOTAL // 50} rows: mean |cos| {narrow[0]:.3f}, mean cos^2 {narrow[1]:.3f}")
    first, middle, last = (float(found[0]) for found in wide.values())
    assert max(middle, last) < first - 0.02  # over 84 pairs, the mean has an error of 0.01
    assert float(narrow[1]) >= (8 - 4) / (4 * (8 - 1)) - 1e-6  # Welch's bound for 8 directions in 4 dimensions
    assert float(narrow[0]) > 2 * last


def test_a_reader_that_reads_all_fields_alike_pays_more_for_sharing() -> None:
    rows, seeds = TOTAL // 10, range(3)
    penalty = {
        reader: mean([loss(unified(rows), seed=s, reader=reader) - loss(full(), seed=s, reader=reader) for s in seeds])
        for reader in ("mlp", "linear", "fm")
    }
    print("penalty of sharing: " + ", ".join(f"{reader} {value:.4f}" for reader, value in penalty.items()))
    assert penalty["fm"] > 1.2 * penalty["mlp"] > 0
    assert penalty["fm"] > 1.2 * penalty["linear"]


def test_more_lookups_do_not_hurt() -> None:
    rows = TOTAL // 30
    found = {k: mean([loss(unified(rows, lookups=k), seed=seed) for seed in range(3)]) for k in (1, 2, 4)}
    print("logloss by lookups: " + ", ".join(f"{k}: {value:.4f}" for k, value in found.items()))
    noise = 0.002
    assert found[2] <= found[1] + noise
    assert found[4] <= found[2] + noise
    assert found[4] < found[1]


def test_without_salts_it_is_worse() -> None:
    sizes = (1000,) * 8
    gaps = []
    for seed in range(3):
        salted, unsalted = unified(800, sizes=sizes), unified(800, sizes=sizes)
        assert isinstance(unsalted[0], Unified)
        unsalted[0].salts = [unsalted[0].salts[0]] * len(sizes)
        losses = [loss(parts, seed=seed, sizes=sizes) for parts in (salted, unsalted)]
        print(f"logloss salted {losses[0]:.4f}, unsalted {losses[1]:.4f}")
        gaps.append(losses[1] - losses[0])
    assert min(gaps) > 0
