"""ROBE: slices of one circular array."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from recsys.config import ResolvedTable
from recsys.config.schemes.robe import RobeTable
from recsys.embeddings import FeatureVocabulary, Layout, build_schemes
from recsys.embeddings.hashing import mix64, name_salt
from recsys.embeddings.schemes.robe import Robe
from recsys.errors import ConfigError
from recsys.testing.tiny_tables import look_up, rows, sharded
from recsys.training.strategy import table_weights
from tests.embeddings.public_data import AVAZU, CRITEO, vocabularies


def spec(**keys: Any) -> RobeTable:
    return RobeTable(features=("a",), scheme="robe", **keys)


def robe(dim: int = 8, name: str = "a", **keys: Any) -> Robe:
    return Robe("t", [FeatureVocabulary(name, None)], dim, spec(**keys))


def array(made: Robe, seed: int = 0, mean: float = 0.0) -> Tensor:
    """The array as rows of Z."""
    return torch.randn(made.rows, made.chunk, generator=torch.Generator().manual_seed(seed)) + mean


@pytest.mark.parametrize("chunk", [4, 8, 16, None])
def test_an_embedding_is_consecutive_circular_floats_up_to_signs(chunk: int | None) -> None:
    made = robe(dim=16, size=49, chunk=chunk)
    weight, ids = array(made), torch.arange(-50, 500)
    floats = weight.flatten()
    vectors = made.serving({"t_table": weight})(ids, 0)
    wraps = 0
    for i, key in enumerate(ids):
        for c in range(16 // made.chunk):
            start = int(torch.remainder(mix64(key ^ name_salt(f"a#{c}")), 48))
            place = torch.arange(start, start + made.chunk) % 48
            wraps += int(place[0] > place[-1])
            part = vectors[i, c * made.chunk : (c + 1) * made.chunk]
            assert torch.equal(part.abs(), floats[place].abs())
    assert wraps > 10
    assert torch.equal(robe(dim=16, size=49, chunk=chunk).serving({"t_table": weight})(ids, 0), vectors)


@pytest.mark.slow
def test_inner_products_have_no_bias_because_of_the_signs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Over many hash seeds, which are names here, for an array whose mean is not 0."""

    seeds = Robe("t", [FeatureVocabulary(f"seed{seed}", None) for seed in range(1000)], 8, spec(size=64, chunk=4))
    weight, ids = array(seeds, mean=0.5), torch.tensor([1, 2])

    def inner() -> Tensor:
        found = []
        for seed in range(1000):
            first, second = seeds.combine([weight[row_V] for row_V in seeds.remap(ids, seed)], ids, seed)
            found.append(first @ second)
        return torch.stack(found)

    signed = inner()
    error = float(signed.std()) / len(signed) ** 0.5
    assert abs(float(signed.mean())) < 4 * error
    monkeypatch.setattr(Robe, "_signs", lambda self, ids, feature_index: torch.ones(len(ids), self.dim))
    plain = inner()
    assert abs(float(plain.mean())) > 10 * float(plain.std()) / len(plain) ** 0.5


def test_signs_are_even_and_of_their_own_for_each_feature_id_and_place() -> None:
    made = Robe("t", [FeatureVocabulary("a", None), FeatureVocabulary("b", None)], 128, spec(size=128))
    first, second = (made._signs(torch.arange(2000), feature_index) for feature_index in (0, 1))
    assert set(first.unique().tolist()) == {-1.0, 1.0}
    assert float(first.mean(dim=0).abs().max()) < 5 / 2000**0.5
    assert abs(float((first * second).mean())) < 5 / 256_000**0.5
    assert abs(float((first[:, :64] * first[:, 64:]).mean())) < 5 / 128_000**0.5
    assert abs(float((first[:-1] * first[1:]).mean())) < 5 / 256_000**0.5


def test_with_slices_laid_end_to_end_it_is_a_plain_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Robe, "_offsets", lambda self, ids, feature_index: (ids * self.dim).unsqueeze(0))
    monkeypatch.setattr(Robe, "_signs", lambda self, ids, feature_index: torch.ones(len(ids), self.dim))
    made = Robe("t", [FeatureVocabulary("a", 20)], 8, spec(size=160))
    weight = array(made).requires_grad_()
    ids = torch.tensor([0, 19, 19, 7])
    vectors = made.combine([weight[row_V] for row_V in made.remap(ids, 0)], ids, 0)
    assert torch.equal(vectors, weight[ids])
    (gradient,) = torch.autograd.grad(vectors.pow(3).sum(), weight)
    assert torch.equal(gradient, torch.autograd.grad(weight[ids].pow(3).sum(), weight)[0])


def test_slices_that_meet_add_their_gradients(make_layout: Callable[..., Layout]) -> None:
    """Against an embedding read float by float from a flat array."""
    layout = make_layout({"t": {"features": ["user", "item"], "scheme": "robe", "size": 12, "dim": 8, "chunk": 4}})
    model = sharded(layout, lr=1.0)
    weight = table_weights(model)["t_table"]
    before = weight.clone().requires_grad_()
    batch = layout.collate(rows([0, 9, 1], [6, 2, 2], [[]] * 3, [[]] * 3))
    made, loss, plain = layout.schemes["t"], torch.zeros(()), torch.zeros(())
    assert isinstance(made, Robe)
    looked = look_up(model, layout, batch)
    for feature_index, name in enumerate(["user", "item"]):
        ids = batch.ids[name]
        start_CV = made._offsets(ids, feature_index)
        place_VCZ = (start_CV.T.unsqueeze(2) + torch.arange(4)) % 12
        plain = plain + (before.flatten()[place_VCZ].flatten(1) * made._signs(ids, feature_index)).mul(50).exp().sum()
        loss = loss + made.combine(looked[name], ids, feature_index).mul(50).exp().sum()
    loss.backward()
    (gradient,) = torch.autograd.grad(plain, before)
    torch.testing.assert_close(before.detach() - weight, gradient, rtol=1e-4, atol=1e-4)


def test_embeddings_start_with_the_spread_of_the_array() -> None:
    made = robe(dim=8, size=8000)
    weight = torch.empty(made.rows, 8)
    made.tables(0)[0].init(weight)
    vectors = made.serving({"t_table": weight})(torch.arange(5000), 0)
    assert float(vectors.std()) == pytest.approx(float(weight.std()), rel=0.05)
    assert float(vectors.std()) == pytest.approx(0.01, rel=0.05)


def test_places_are_used_evenly() -> None:
    start_V = robe(dim=8, size=1000, chunk=8)._offsets(torch.arange(100_000), 0)[0]
    chi2 = float(((torch.bincount(start_V, minlength=1000) - 100) ** 2 / 100).sum())
    assert abs(chi2 - 999) < 5 * (2 * 999) ** 0.5


def test_new_features_move_no_slices_and_any_key_has_one() -> None:
    alone = robe(size=1000)
    beside = Robe("t", [FeatureVocabulary("b", None), FeatureVocabulary("a", 7)], 8, spec(size=1000))
    ids = torch.tensor([0, 5, 2**31, 2**63 - 1, -1, -(2**63)])
    assert torch.equal(alone.remap(ids, 0), beside.remap(ids, 1))
    assert torch.equal(alone._signs(ids, 0), beside._signs(ids, 1))
    assert not torch.equal(beside.remap(ids, 0), beside.remap(ids, 1))
    assert torch.equal(copy.deepcopy(alone).remap(ids, 0), alone.remap(ids, 0))


def test_the_smallest_array_is_one_embedding() -> None:
    made = robe(dim=8, size=8)
    weight, ids = array(made), torch.arange(50)
    vectors = made.serving({"t_table": weight})(ids, 0)
    assert torch.equal(vectors.abs().sort(dim=1).values, weight.abs().sort(dim=1).values.expand(50, 8))
    with pytest.raises(AssertionError, match="two floats of an embedding"):
        robe(dim=8, size=7, chunk=4)


@pytest.mark.parametrize("keys", [{}, {"chunk": 4}, {"per_feature": True}])
@pytest.mark.parametrize("sizes", [CRITEO, AVAZU], ids=["criteo", "avazu"])
@pytest.mark.parametrize("ratio", [0.5, 0.1, 0.001])
def test_a_budget_is_kept_and_used_up(ratio: float, sizes: list[int], keys: dict[str, Any]) -> None:
    planned = ResolvedTable(name="t", fields=("a",), dim=16, spec=spec(budget=ratio, **keys))
    parts = build_schemes(planned, vocabularies(sizes))
    allowed, found = int(ratio * 64 * sum(sizes)), sum(part.serving_bytes() for part in parts)
    slack = 64 * len(sizes) if "per_feature" in keys else 4 * (keys.get("chunk") or 16)
    assert found <= allowed < found + slack


def test_a_budget_out_of_reach_names_the_floor() -> None:
    planned = ResolvedTable(name="t", fields=("a",), dim=16, spec=spec(budget="100B"))
    with pytest.raises(ConfigError, match=r"robe cannot be made as small as 100 B; the least it can be is 384 B"):
        build_schemes(planned, vocabularies([100, 5]))


def test_per_feature_tables_that_would_not_shrink_stay_full_tables() -> None:
    parts = Robe.build("t", vocabularies([1000, 6, 1, 5]), 16, spec(size=1600, per_feature=True, exact_below=0))
    names = [(type(part).__name__, part.serving_bytes()) for part in parts]
    assert names == [("Robe", 4 * 16 * 98), ("Robe", 64), ("Full", 64), ("Robe", 64)]


def test_training_bytes_are_those_of_serving_without_an_optimizer() -> None:
    made = robe(dim=8, size=99, chunk=4)
    assert made.bytes("training", sparse="sgd", dense="adam") == made.serving_bytes() == 4 * 96
    assert not made.state_dict()
