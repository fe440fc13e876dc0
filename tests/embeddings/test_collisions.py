"""Collisions: counted by hand, expected over random hashes, and counted by comparing rows."""

from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch

from recsys.config import ResolvedTable
from recsys.config.schemes import SCHEMES
from recsys.embeddings import FeatureVocabulary, build_schemes
from recsys.embeddings.collisions import colliding_ids, collisions_of, expected_colliding_ids
from recsys.embeddings.scheme import Scheme


def built(num_ids: int | None, **spec: Any) -> Scheme:
    section: Any = SCHEMES[spec["scheme"]].model_validate({"features": ["item"], **spec}, strict=False)
    (scheme,) = build_schemes(
        ResolvedTable(name="t", fields=("item",), dim=4, spec=section), [FeatureVocabulary("item", num_ids)]
    )
    return scheme


def test_ids_that_agree_modulo_the_rows_share_them() -> None:
    hashed = built(10, scheme="hash", rows=7)
    assert colliding_ids(hashed, 0).tolist() == [True] * 3 + [False] * 4 + [True] * 3
    counts = np.array([0, 60, 20, 10, 5, 1, 1, 1, 1, 1])
    assert collisions_of(hashed, 0, counts=counts) == (6.0, 6, 0.83)


def test_what_is_never_shared_is_not_looked_at() -> None:
    assert collisions_of(built(10, scheme="qr", divisor=4), 0, counts=np.ones(10, np.int64)) == (0.0, 0, 0.0)
    assert collisions_of(built(10, scheme="md", alpha=0.4), 0) == (0.0, 0, 0.0)


@pytest.mark.parametrize("spec", [{"scheme": "dpq", "parts": 2, "choices": 2}, {"scheme": "deeplight", "density": 0.1}])
def test_what_training_decides_is_not_claimed(spec: dict[str, Any]) -> None:
    assert collisions_of(built(1000, **spec), 0) == (None, None, None)


def test_nothing_is_known_of_open_vocabularies() -> None:
    assert collisions_of(built(None, scheme="hash", rows=7), 0) == (None, None, None)


def test_one_row_is_shared_by_all() -> None:
    assert collisions_of(built(50, scheme="unified", rows=1), 0) == (50.0, 50, None)


@pytest.mark.parametrize("rows", [1, 3, 50, 59, 60, 61, 99])
@pytest.mark.parametrize("spec", [{"scheme": "hash"}, {"scheme": "adaptemb"}])
def test_without_chance_the_formula_is_exact(rows: int, spec: dict[str, Any]) -> None:
    scheme = built(100, **spec, **({"rows": rows} if spec["scheme"] == "hash" else {"rate": rows / 100}))
    found = collisions_of(scheme, 0)
    assert found.expected == found.ids


CHANCE: list[dict[str, Any]] = [
    {"scheme": "hash", "rows": 3000, "hashing": "random"},
    {"scheme": "unified", "rows": 3000},
    {"scheme": "unified", "rows": 100, "lookups": 2},
    {"scheme": "multi_hash", "rows": 100},
    {"scheme": "multi_hash", "rows": 50, "importance_rows": 20},
    {"scheme": "robe", "size": 8000},
]


@pytest.mark.parametrize("spec", CHANCE, ids=lambda spec: spec["scheme"])
def test_chance_gives_what_is_expected(spec: dict[str, Any]) -> None:
    """Colliding pairs are nearly independent, so their number has about the variance of a Poisson draw."""
    found = collisions_of(built(3000, **spec), 0)
    assert found.ids is not None
    assert found.expected == pytest.approx(found.ids, abs=5 * (2 * found.ids) ** 0.5)
    assert found.ids > 100


def test_the_order_of_rows_counts_unless_they_are_summed() -> None:
    summed = built(400, scheme="multi_hash", rows=20)
    rows = [tuple(sorted(row)) for row in summed.remap(torch.arange(400), 0).T.tolist()]
    times = Counter(rows)
    assert colliding_ids(summed, 0).tolist() == [times[row] > 1 for row in rows]
    beside = built(400, scheme="unified", rows=20, lookups=2)
    rows = [tuple(row) for row in beside.remap(torch.arange(400), 0).T.tolist()]
    times = Counter(rows)
    assert colliding_ids(beside, 0).tolist() == [times[row] > 1 for row in rows]


def test_a_vocabulary_too_large_to_look_at_has_the_formula(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recsys.embeddings.collisions.MAX_IDS", 99)
    hashed = built(100, scheme="hash", rows=80)
    assert collisions_of(hashed, 0) == (expected_colliding_ids(hashed, 0), None, None) == (40.0, None, None)
