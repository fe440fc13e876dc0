from typing import Any

import pytest
import torch
from torch import Tensor

from recsys.config.schemes.dhe import DheTable
from recsys.embeddings import FeatureVocabulary, Full
from recsys.embeddings.budget import solve_budget
from recsys.embeddings.hashing import name_salt
from recsys.embeddings.schemes.dhe import Dhe, counted_floats, encode
from recsys.export import script
from tests.embeddings.public_data import DIM, FIELDS, planned, vocabularies


def make(num_ids: int | None = None, *, dim: int = 8, **keys: Any) -> Dhe:
    spec = DheTable(features=("item",), scheme="dhe", **{"width": 12, "hashes": 30, "layers": 3, **keys})
    torch.manual_seed(0)
    return Dhe("t", [FeatureVocabulary("item", num_ids)], dim, spec)


def trained(**keys: Any) -> Dhe:
    """Some steps on random targets, so that moving averages and batch norms are not as they began."""
    made, target = make(**keys), torch.randn(50, 8)
    optimizer = torch.optim.Adam(made.parameters(), lr=0.01)
    for _ in range(30):
        ids = torch.randint(0, 50, (64,))
        optimizer.zero_grad()
        (made.combine([], ids, 0) - target[ids]).square().sum().backward()
        optimizer.step()
    return made.eval()


@pytest.mark.parametrize(
    ("data", "budget", "width", "num_compressed"),
    [
        ("criteo", 0.5, 3626, 4),
        ("criteo", 0.1, 1372, 5),
        ("criteo", 0.01, 271, 8),
        ("criteo", 0.001, 29, 14),
        ("avazu", 0.1, 1224, 2),
        ("avazu", 0.01, 241, None),
        ("avazu", 0.001, 15, None),
    ],
)
def test_golden_widths(data: str, budget: float, width: int, num_compressed: int | None) -> None:
    spec = solve_budget(planned("dhe", FIELDS[data], budget=budget), vocabularies(FIELDS[data]))
    assert isinstance(spec, DheTable)
    assert spec.width == width
    assert counted_floats(DIM, spec) == 1025 * width + 4 * width * (width + 1) + 17 * width + 10 * width
    if num_compressed is not None:
        with torch.device("meta"):
            parts = Dhe.build("t", vocabularies(FIELDS[data]), DIM, spec)
        assert sum(isinstance(part, Dhe) for part in parts) == num_compressed


@pytest.mark.parametrize("width", [1, 2, 40])
@pytest.mark.parametrize("dim", [4, 64])
def test_no_more_is_served_than_is_counted(width: int, dim: int) -> None:
    made = make(dim=dim, width=width)
    assert made.serving_bytes() <= 4 * counted_floats(dim, made.spec)
    assert made.serving_bytes() <= made.bytes("training", sparse="sgd", dense="sgd") + 4 * 3 * width


@pytest.mark.parametrize("first", [0, 2**31 - 20_000, -(2**63), 2**63 - 20_001])
def test_codes_are_uniform_in_minus_one_to_one(first: int) -> None:
    codes = encode(first + torch.arange(20_000), 123, 1024)
    assert codes.dtype == torch.float32
    assert -1 <= float(codes.min()) < -0.99
    assert 0.99 < float(codes.max()) <= 1
    deviation = (1 / 3) ** 0.5 / 20_000**0.5
    assert float(codes.mean(dim=0).abs().max()) < 5 * deviation
    assert float((codes.square().mean(dim=0) - 1 / 3).abs().max()) < 5 * (4 / 45 / 20_000) ** 0.5


def test_a_hundred_thousand_ids_have_different_codes() -> None:
    codes = encode(torch.arange(100_000), 123, 8)
    assert len(torch.unique(codes, dim=0)) == 100_000


def test_codes_of_other_hashes_ids_and_features_are_uncorrelated() -> None:
    codes, others = (encode(torch.arange(20_001), name_salt(name), 64) for name in ("item", "user"))
    columns = torch.cat([codes[:-1], codes[1:], others[:-1]], dim=1)
    apart = torch.corrcoef(columns.T) - torch.eye(192)
    assert float(apart.abs().max()) < 5.5 / 20_000**0.5


def test_no_bit_of_a_code_is_a_bit_of_another_one() -> None:
    """Pieces of one mix that overlap by some bits are hardly correlated as numbers, but as bits."""
    codes = (encode(torch.arange(20_000), 123, 8) * 2**15).to(torch.int64)
    bits = (codes.unsqueeze(2) >> torch.arange(16)) & 1
    apart = torch.corrcoef(bits.flatten(1).T.float()) - torch.eye(8 * 16)
    assert float(apart.abs().max()) < 5.5 / 20_000**0.5


def test_codes_do_not_depend_on_the_batch() -> None:
    codes = encode(torch.arange(1000), 5, 30)
    assert torch.equal(encode(torch.tensor([7, 999]), 5, 30), codes[[7, 999]])
    assert encode(torch.arange(0), 5, 30).shape == (0, 30)


def test_in_eval_mode_an_embedding_does_not_depend_on_the_batch() -> None:
    made = trained()
    together = made.combine([], torch.arange(50), 0).detach()
    assert float(together.std()) > 0.1
    for i in (0, 49):
        torch.testing.assert_close(made.combine([], torch.tensor([i]), 0)[0], together[i], rtol=0, atol=1e-6)


@pytest.mark.parametrize("layers", [1, 5])
def test_served_folded_it_gives_what_it_gives_in_eval_mode(layers: int) -> None:
    made = trained(layers=layers)
    serving = script(made.serving({}).eval())
    ids = torch.tensor([3, 3, 17, 10**12, -5])
    expected = made.combine([], ids, 0)
    torch.testing.assert_close(serving(ids, 0), expected, rtol=0, atol=2e-6)
    assert serving(ids[:0], 0).shape == (0, 8)


def test_more_ids_than_go_through_the_mlp_at_a_time_are_embedded_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    made, ids = trained(), torch.arange(50) % 40
    expected = made.combine([], ids, 0)
    monkeypatch.setattr("recsys.embeddings.schemes.dhe.CHUNK", 7)
    torch.testing.assert_close(made.combine([], ids, 0), expected, rtol=0, atol=1e-6)
    torch.testing.assert_close(made.serving({})(ids, 0), expected, rtol=0, atol=2e-6)


@pytest.mark.parametrize("ids", [[], [4], [4, 4, 4]])
def test_a_batch_of_one_id_or_none_can_be_trained_on_and_moves_no_average(ids: list[int]) -> None:
    made = make()
    before = {name: buffer.clone() for name, buffer in made.named_buffers()}
    vectors = made.combine([], torch.tensor(ids, dtype=torch.int64), 0)
    assert vectors.shape == (len(ids), 8)
    vectors.square().sum().backward()
    assert torch.isfinite(vectors).all()
    assert all(torch.equal(buffer, before[name]) for name, buffer in made.named_buffers())


def test_an_id_counts_once_in_the_batch_statistics_however_often_it_is_used() -> None:
    once, often = make(), make()
    torch.testing.assert_close(
        once.combine([], torch.tensor([1, 2, 3]), 0), often.combine([], torch.tensor([1, 1, 1, 2, 3]), 0)[2:]
    )


def gradients(made: Dhe, ids: list[int]) -> list[Tensor]:
    made.zero_grad()
    made.combine([], torch.tensor(ids), 0).sum().backward()
    return [parameter.grad.clone() for parameter in made.out.parameters() if parameter.grad is not None]


def test_an_id_that_is_used_twice_has_twice_the_gradient() -> None:
    made = make().eval()
    for one, two in zip(gradients(made, [5]), gradients(made, [5, 5]), strict=True):
        torch.testing.assert_close(2 * one, two)


@pytest.mark.parametrize("mode", [True, False])
def test_fresh_embeddings_are_about_as_large_as_fresh_rows(mode: bool) -> None:
    made = make(width=64, hashes=1024, layers=5).train(mode)
    deviation = float(made.combine([], torch.arange(2000), 0).detach().std(dim=0).mean())
    assert 0.01 < deviation < 0.05


def test_adding_a_feature_or_another_order_changes_no_codes() -> None:
    spec = DheTable(features=("a", "b"), scheme="dhe", width=4)
    first, second = (
        Dhe.build("t", [FeatureVocabulary(n, None) for n in names], 4, spec) for names in (["a", "b"], ["b", "a"])
    )
    assert isinstance(first[1], Dhe)
    assert isinstance(second[0], Dhe)
    assert first[1].salt == second[0].salt != first[0].salt  # type: ignore[attr-defined]


def test_features_smaller_than_their_mlp_stay_plain_and_open_ones_never_do() -> None:
    spec = DheTable(features=("a", "b", "c"), scheme="dhe", width=4, hashes=8, layers=1)
    found = Dhe.build(
        "t", [FeatureVocabulary("a", 10_000), FeatureVocabulary("b", 10), FeatureVocabulary("c", None)], 8, spec
    )
    assert [type(part) for part in found] == [Dhe, Full, Dhe]
    assert [part.name for part in found] == ["t/a", "t/b", "t/c"]


def test_under_autocast_embeddings_are_float32_as_rows_are() -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert make().combine([], torch.arange(9), 0).dtype == torch.float32
