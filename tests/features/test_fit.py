import numpy as np
import polars as pl
import pytest

from recsys.config import (
    BucketFeature,
    CrossFeature,
    IdFeature,
    NumberFeature,
)
from recsys.errors import DataError
from recsys.features.fingerprint import NULL_KEY, xxhash64_keys
from recsys.features.fit import Fitting, fit, key_kinds
from recsys.features.state import TransformState
from recsys.features.transform import canonicalize
from tests.features.configs import resolved
from tests.features.shop import FRAME, SHOP, prepared


def test_rows_become_the_ids_and_numbers_that_follow_from_the_definitions() -> None:
    state = fit([FRAME], SHOP)
    u, v = xxhash64_keys(pl.Series(["u", "v"])).to_list()
    # item: 30 three times (one of them with `history`'s first entry cut off), 20 three times, null twice, 10 once.
    assert prepared(FRAME, state) == {
        "item": [4, 1, 1, 3],
        "city": [1, 1, 0, 0],
        "user": [u, v, u, NULL_KEY],
        "level": [2, 0, 2, 1],
        "both": prepared(FRAME, state)["both"],
        "tags": [[1], [2, 1], [], []],
        "history": [[2, 2], [1], [2, 3], []],
        "seen_by": [[u], [], [], [v, u]],
        "marks": [[1, 0], [1], [1, 1], []],
        "price": [0.0, 1.0, 0.0, 0.5],
        "size": [1, 2, 3, 0],
        "ts.hour": [1, 6, 0, 1],
        "ts.weekend": [1, 1, 0, 2],
    }
    assert sorted(prepared(FRAME, state)["both"]) == [1, 2, 3, 4]
    assert state.vocabularies["item"].counts.tolist() == [0, 3, 3, 2, 1]
    assert state.vocabularies["city"].counts.tolist() == [2, 2]
    assert state.vocabularies["level"].counts.tolist() == [1, 1, 2]
    assert state.vocabularies["tags"].counts.tolist() == [0, 2, 1]
    assert state.vocabularies["marks"].counts.tolist() == [1, 4]  # 5 is seen twice, and cut off once


def test_values_that_training_has_not_seen_are_unknown() -> None:
    state = fit([FRAME[:1]], SHOP)
    later = prepared(FRAME[1:], state)
    assert later["item"] == [0, 0, 0]
    assert later["history"] == [[0], [1, 0], []]
    assert later["both"] == [0, 0, 0]


def test_an_equal_pair_has_an_equal_cross_id_and_any_other_pair_another() -> None:
    frame = pl.concat([FRAME, FRAME[1:2]])
    state = fit([frame], SHOP)
    ids = prepared(frame, state)["both"]
    assert ids[1] == ids[4] == 1
    assert len(set(ids)) == 4


@pytest.mark.parametrize("rows", [1, 3, 7, 250])
def test_streaming_gives_the_state_of_all_rows_at_once(rows: int) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=500)
    frame = pl.DataFrame({"a": rng.zipf(1.5, 500) % 50, "x": x, "y": np.exp(x), "c": rng.integers(0, 5, 500)})
    shop = resolved(
        a=IdFeature(type="id", min_count=2),
        c=IdFeature(type="id"),
        ac=CrossFeature(type="cross", of=("a", "c")),
        x=NumberFeature(type="number", normalize="standard"),
        y=BucketFeature(type="bucket", quantiles=8),
    )
    whole = fit([frame], shop)
    streamed = fit((frame[start : start + rows] for start in range(0, 500, rows)), shop)
    for name in ("a", "c", "ac"):
        assert streamed.vocabularies[name].ids.tolist() == whole.vocabularies[name].ids.tolist()
        assert streamed.vocabularies[name].counts.tolist() == whole.vocabularies[name].counts.tolist()
    assert streamed.boundaries["y"].tolist() == whole.boundaries["y"].tolist()
    assert streamed.numbers["x"][1:3] == pytest.approx(whole.numbers["x"][1:3], rel=1e-12)
    assert streamed.num_rows == 500


def test_parts_of_the_rows_can_be_fitted_apart_and_merged() -> None:
    unfitted = TransformState(key_kinds=key_kinds(SHOP, FRAME.schema))
    parts = []
    for frame in (FRAME[:1], FRAME[1:3], FRAME[3:]):
        parts.append(Fitting(SHOP))
        parts[-1].add(canonicalize(frame, SHOP, unfitted))
    for part in parts[1:]:
        parts[0].merge(part)
    assert prepared(FRAME, parts[0].finish(unfitted.key_kinds)) == prepared(FRAME, fit([FRAME], SHOP))


def test_fitting_needs_rows() -> None:
    with pytest.raises(DataError, match="the training split has no rows: nothing can be fitted"):
        fit([FRAME[:0]], SHOP)


def test_a_listed_value_must_fit_its_column() -> None:
    shop = resolved(level=IdFeature(type="id", vocabulary=("high", "low")))
    with pytest.raises(DataError, match=r"features.level.vocabulary: expected an integer, got 'high'"):
        fit([pl.DataFrame({"level": [1, 2]})], shop)
