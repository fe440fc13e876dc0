from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from recsys.config.schemes.mgqe import MgqeTable
from recsys.embeddings import FeatureVocabulary
from recsys.embeddings.build import build_schemes
from recsys.embeddings.schemes.codebook import CodeReader
from recsys.embeddings.schemes.mgqe import Mgqe
from recsys.export import script
from tests.embeddings.public_data import DIM, FIELDS, planned, vocabularies
from tests.export.models import make as make_model
from tests.export.models import slow_scores
from tests.export.rows import clicks


def make(num_ids: int = 1000, *, ranks: Tensor | None = None, dim: int = 8, **keys: Any) -> Mgqe:
    spec = MgqeTable(features=("item",), scheme="mgqe", **{"parts": 2, "choices": 100, "cold_choices": 20, **keys})
    torch.manual_seed(0)
    return Mgqe("t", [FeatureVocabulary("item", num_ids, ranks)], dim, spec)


def weights_of(scheme: Mgqe) -> dict[str, Tensor]:
    return {t.name: 0.01 * torch.randn(t.rows, t.dim) for t in scheme.physical_tables()}


def served(scheme: Mgqe, weights: dict[str, Tensor]) -> CodeReader:
    reader: nn.Module = scheme.serving(weights).eval()
    assert isinstance(reader, CodeReader)
    return reader


def shuffled_ranks(num_ids: int) -> Tensor:
    ranks = torch.arange(num_ids)
    ranks[1:] = 1 + torch.randperm(num_ids - 1, generator=torch.Generator().manual_seed(3))
    return ranks


@pytest.mark.parametrize(
    ("data", "parts", "ratio"),
    [
        ("avazu", 8, 0.1601),
        ("avazu", 4, 0.1115),
        ("avazu", 2, 0.0871),
        ("criteo", 8, 0.1608),
        ("criteo", 4, 0.1117),
        ("criteo", 2, 0.0872),
    ],
)
def test_golden_ratios(data: str, parts: int, ratio: float) -> None:
    """With the flag of each id that the survey stores and counts as a float, and we do not need."""
    sizes = FIELDS[data]
    found = build_schemes(planned("mgqe", sizes, parts=parts), vocabularies(sizes))
    flags = sum(4 * part.num_ids for part in found if isinstance(part, Mgqe))
    counted = sum(part.serving_bytes() for part in found) + flags
    # Each id begins with a byte of its own: codes of 12 bits take 2 bytes.
    padding = {2: 0.5, 4: 0.0, 8: 0.0}[parts] * 0.9 * sum(sizes)
    assert (counted - padding) / (4 * DIM * sum(sizes)) == pytest.approx(ratio, rel=0.01)


def test_with_the_parts_of_the_rows_as_centroids_it_is_the_plain_table() -> None:
    made = make(20, choices=20, cold_choices=20, hot=0.5)
    weights = weights_of(made)
    (rows,) = weights.values()
    with torch.no_grad():
        made.codebook.copy_(rows.view(20, 2, 4).transpose(0, 1))
    assert torch.equal(made.combine([rows], torch.arange(20), 0), rows)
    assert torch.equal(served(made, weights)(torch.arange(20), 0), rows)


@pytest.mark.parametrize("has_ranks", [True, False])
def test_cold_ids_use_the_first_centroids_and_hot_ids_all(has_ranks: bool) -> None:
    ranks = shuffled_ranks(1000) if has_ranks else None
    made = make(ranks=ranks)
    weights = weights_of(made)
    (rows,) = weights.values()
    ids = torch.arange(1000)
    is_hot = (ids if ranks is None else ranks) < 100
    for codes in (made.encode(rows, ids), served(made, weights).codes(ids)):
        assert codes.shape == (1000, 2)
        assert int(codes[~is_hot].max()) == 19
        assert 90 < int(codes[is_hot].max()) < 100
        assert int(codes.min()) == 0


def test_default_codes_are_below_256_and_64() -> None:
    made = make(5000, choices=256, cold_choices=64)
    codes = served(made, weights_of(made)).codes(torch.arange(5000))
    assert int(codes[:500].max()) > 240
    assert int(codes[500:].max()) == 63


def test_the_gradient_is_straight_through_and_the_codebook_has_none_of_it() -> None:
    made, ids = make(), torch.tensor([0, 50, 500, 999, 500])
    rows = (0.01 * torch.randn(1000, 8)).requires_grad_()
    upstream = torch.randn(5, 8)
    made.combine([rows[ids]], ids, 0).backward(upstream)
    assert rows.grad is not None
    assert torch.equal(rows.grad, torch.zeros(1000, 8).index_add_(0, ids, upstream))
    assert made.codebook.grad is None
    loss = made.pop_aux_loss()
    assert loss is not None
    loss.backward()
    assert float(made.codebook.grad.abs().sum()) > 0  # type: ignore[attr-defined]


@pytest.mark.parametrize("has_ranks", [True, False])
@pytest.mark.parametrize("parts", [1, 2, 8])
def test_what_is_served_is_what_the_model_gives_in_eval_mode(has_ranks: bool, parts: int) -> None:
    """Also after the codebook has moved, and for ids that no batch ever had."""
    made = make(ranks=shuffled_ranks(1000) if has_ranks else None, parts=parts)
    weights = weights_of(made)
    (rows,) = weights.values()
    seen = torch.arange(0, 1000, 3)
    made.combine([rows[seen]], seen, 0)
    with torch.no_grad():
        made.codebook.add_(0.005 * torch.randn_like(made.codebook))
    ids = torch.cat([torch.arange(1000), torch.tensor([0, 999, 5, 5])])
    expected = made.eval().combine([rows[ids]], ids, 0)
    reader = served(made, weights)
    assert torch.equal(reader(ids, 0), expected)
    assert torch.equal(script(reader)(ids, 0), expected)
    assert script(reader)(ids[:0], 0).shape == (0, 8)


@pytest.mark.parametrize(
    ("has_ranks", "parts", "num_bytes"),
    [(False, 4, 100 * 4 + 900 * 3), (False, 8, 100 * 8 + 900 * 6), (True, 2, 100 * 2 + 900 * 2 + 1000 * 4)],
)
def test_hot_codes_have_8_bits_and_others_6(has_ranks: bool, parts: int, num_bytes: int) -> None:
    ranks = shuffled_ranks(1000) if has_ranks else None
    made = make(ranks=ranks, choices=256, cold_choices=64, parts=parts)
    assert made.serving_bytes() == num_bytes + 4 * 256 * 8
    assert made.bytes("training", sparse="sgd", dense="sgd") > made.serving_bytes()


def test_some_id_is_hot_even_if_the_share_is_of_less_than_one() -> None:
    made = make(4, hot=0.01)
    assert made.num_hot == 1
    assert torch.isfinite(served(made, weights_of(made))(torch.arange(4), 0)).all()


def test_all_ids_may_be_hot() -> None:
    made = make(4, hot=0.99)
    weights = weights_of(made)
    (rows,) = weights.values()
    assert made.num_hot == 4
    assert torch.equal(served(made, weights)(torch.arange(4), 0), made.eval().combine([rows], torch.arange(4), 0))


def test_cold_ids_cannot_have_more_choices_than_hot_ones() -> None:
    with pytest.raises(ValueError, match="cold_choices must be at most choices 32, got 64"):
        MgqeTable(features=("item",), scheme="mgqe", parts=2, choices=32)


YAML = """
label: clicked
features:
  user: {type: id}
  item: {type: id}
  genres: {type: ids, max_len: 2, separator: "|"}
  age: {type: bucket, column: years, quantiles: 4}
  items: {type: sequence, of: item, max_len: 3}
  hour: {type: datetime, column: time, parts: [hour]}
tables:
  things: {features: [user, item, genres], scheme: mgqe, parts: 2, choices: 3, cold_choices: 2, hot: 0.4}
  ages: {features: [age, hour.hour], scheme: dpq, parts: 2, choices: 2}
model: {tower: mlp, dim: 8, mlp: [6]}
"""


def test_the_exported_model_scores_as_the_model_does(tmp_path: Path) -> None:
    made = make_model(YAML, clicks(300), tmp_path)
    assert any(isinstance(scheme, Mgqe) for scheme in made.layout.schemes.values())
    for scheme in made.layout.schemes.values():
        scheme.eval()
        for parameter in scheme.parameters():
            nn.init.normal_(parameter)
    fresh = clicks(60, seed=2)
    expected = slow_scores(made, fresh)
    assert expected.std() > 0.02
    np.testing.assert_allclose(script(made.export())(made.inputs(fresh)).numpy(), expected, rtol=0, atol=1e-6)
