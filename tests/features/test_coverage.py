from typing import Any

import numpy as np
import polars as pl
import pytest

from recsys.config import Config, resolve
from recsys.config.resolved import ResolvedConfig
from recsys.features.coverage import Coverage, CoverageCounter, HistoryCounter, fields_with_vocabulary
from recsys.features.fit import fit
from recsys.features.state import TransformState
from recsys.features.transform import canonicalize, encode

FEATURES: dict[str, Any] = {
    "item": {"type": "id"},
    "tags": {"type": "ids", "max_len": 2},
    "hist": {"type": "sequence", "of": "item", "max_len": 3},
    "price": {"type": "number"},
    "ts": {"type": "datetime", "parts": ["hour", "day"]},
    "device": {"type": "id", "vocabulary": ["phone", "tablet"]},
    "pair": {"type": "cross", "of": ["item", "device"]},
}
ROWS = pl.DataFrame(
    {
        "item": ["a", "b", "c", "a"],
        "tags": [[1], [2], [1, 2], [3]],
        "hist": [["a"], ["b", "a"], ["z"], []],
        "price": [1.0, 2.0, 3.0, 4.0],
        "ts": [0, 1, 2, 3],
        "device": ["phone", "tablet", "phone", "phone"],
    }
)


def fitted(rows: pl.DataFrame = ROWS) -> tuple[ResolvedConfig, TransformState]:
    resolved = resolve(Config(label="click", features=FEATURES), columns=[])
    return resolved, fit([rows], resolved)


def counted(rows: pl.DataFrame, numbers: list[int] | None = None, num_splits: int = 1) -> list[dict[str, Coverage]]:
    resolved, state = fitted()
    counter = CoverageCounter(resolved, fields_with_vocabulary(resolved, state), state.key_kinds, num_splits)
    for first, frame in [(0, rows[:2]), (2, rows[2:])]:
        canonical = canonicalize(frame, resolved, state)
        split = None if numbers is None else np.array(numbers[first : first + len(frame)], np.uint8)
        chunk = counter.start(frame, canonical, split)
        encode(canonical, resolved, state, chunk)
        counter.add(chunk)
    return [counter.finish(split) for split in range(num_splits)]


OTHER = pl.DataFrame(
    {
        "item": ["a", "x", None, "y"],
        "tags": [[1, 9, 9], None, [9], [1, 1]],
        "hist": [["x", "a", "b", "c"], ["x"], [None, "a"], []],
        "price": [None, float("nan"), float("inf"), 1.0],
        "ts": [None, 1, 2, 3],
        "device": ["phone", None, None, "watch"],
    }
)


def test_unknown_and_missing_values_and_cut_lists_are_counted() -> None:
    (found,) = counted(OTHER)
    assert found == {
        "item": Coverage(rows=4, missing=1, values=3, unknown=2),
        "tags": Coverage(rows=4, missing=1, truncated=1, values=5, unknown=2),
        "hist": Coverage(rows=4, missing=1, truncated=1, values=6, unknown=2),
        "price": Coverage(rows=4, missing=3),
        "ts": Coverage(rows=4, missing=1),
        "device": Coverage(rows=4, missing=2, values=2, unknown=1),
        "pair": Coverage(rows=4, missing=0, values=4, unknown=3),
    }


def test_the_rows_that_vocabularies_were_learnt_from_have_no_unknown_values() -> None:
    (found,) = counted(ROWS)
    assert {name: one.unknown for name, one in found.items()} == dict.fromkeys(FEATURES, 0)


def test_of_many_rows_an_eighth_is_counted_spread_over_all_of_them() -> None:
    counted = [number for number in range(40) if CoverageCounter.counts(1000 * number, 1000)]
    assert counted == [0, 1, 2, 3, 8, 16, 24, 32]


def test_each_split_has_the_counts_of_its_own_rows() -> None:
    parts = counted(OTHER, [2, 0, 2, 0], num_splits=3)
    assert parts[1] == {}
    resolved, state = fitted()
    for split, rows in ((0, OTHER[[1, 3]]), (2, OTHER[[0, 2]])):
        counter = CoverageCounter(resolved, fields_with_vocabulary(resolved, state), state.key_kinds)
        canonical = canonicalize(rows, resolved, state)
        chunk = counter.start(rows, canonical)
        encode(canonical, resolved, state, chunk)
        counter.add(chunk)
        assert parts[split] == counter.finish()


@pytest.mark.parametrize(
    ("fitted_on", "values"),
    [
        ([7, 8], pl.Series([7, None, 9], dtype=pl.Int64)),
        ([7, 8], pl.Series([7, None, 9], dtype=pl.UInt8)),
        ([7, 8], pl.Series([7.0, None, float("nan"), 9.0])),
        ([7, 8], pl.Series(["7", None, "", "9"])),
        ([7, None], pl.Series([7, None, 9])),
        (["7", ""], pl.Series(["7", None, "", "9"])),
        (["7", "8"], pl.Series(["7", None, "9"], dtype=pl.Categorical)),
        (["7", "8"], pl.Series([7.0, None, float("nan"), 9.0])),
        ([True, None], pl.Series([True, None, False])),
        (["7", "8"], pl.Series([None, None], dtype=pl.Null)),
    ],
)
def test_a_missing_value_of_any_type_is_not_an_unknown_one(fitted_on: list[Any], values: pl.Series) -> None:
    """Whether null has an id of its own or not; what is missing is what canonical columns say is."""
    resolved = resolve(Config(label="click", features={"x": {"type": "id"}}), columns=[])
    state = fit([pl.DataFrame({"x": fitted_on})], resolved)
    frame = pl.DataFrame({"x": values})
    canonical = canonicalize(frame, resolved, state)
    counter = CoverageCounter(resolved, ["x"], state.key_kinds)
    chunk = counter.start(frame, canonical)
    encode(canonical, resolved, state, chunk)
    counter.add(chunk)
    keys = canonical["x"].to_list()
    missing = keys.count(-(2**63))
    known = set(state.vocabularies["x"].keys.tolist())
    unknown = sum(key not in known for key in keys if key != -(2**63))
    assert counter.finish()["x"] == Coverage(
        rows=len(keys), missing=missing, values=len(keys) - missing, unknown=unknown
    )


def count_history(frames: list[pl.DataFrame], resolved: ResolvedConfig, state: TransformState) -> Coverage:
    """Return the coverage of `hist` in training rows that come in several parts."""
    counter = CoverageCounter(resolved, fields_with_vocabulary(resolved, state), state.key_kinds)
    histories = HistoryCounter(resolved, state)
    for frame in frames:
        canonical = canonicalize(frame, resolved, state)
        chunk = counter.start(frame, canonical)
        histories.add(encode(canonical, resolved, state, chunk))
        counter.add(chunk)
    return histories.finish(counter.finish())["hist"]


@pytest.mark.parametrize(
    ("entries", "matching"),
    [
        ([["a", "b"], ["c"], [], ["a"]], 4),
        ([["[a", " b]"], ["[c]"], [], ["[a]"]], 0),
        ([["a", " b"], ["c"], [], []], 2),
    ],
)
def test_entries_of_a_history_are_held_against_the_column_of_its_item(entries: list[list[str]], matching: int) -> None:
    """Its entries are in the vocabulary however they are written, so none of them is unknown."""
    rows = ROWS.with_columns(hist=pl.Series(entries))
    resolved, state = fitted(rows)
    found = count_history([rows[:2], rows[2:]], resolved, state)  # an entry may be a value of a later row only
    assert (found.unknown, found.entries, found.matching) == (0, sum(map(len, entries)), matching)


def test_entries_of_a_history_of_listed_values_are_known_or_not_whatever_the_column_of_the_item_holds() -> None:
    features = {"rating": {"type": "id", "vocabulary": [1, 2, 3]}, "hist": {"type": "sequence", "of": "rating"}}
    resolved = resolve(Config(label="click", features=features), columns=[])
    rows = pl.DataFrame({"rating": [3, 3, 3], "hist": [[1, 2], [2], [9]]})
    found = count_history([rows], resolved, fit([rows], resolved))
    assert (found.values, found.unknown, found.entries) == (4, 1, 0)


def test_an_unknown_entry_of_a_history_is_no_value_of_an_unknown_item() -> None:
    features = {"item": {"type": "id", "min_count": 2}, "hist": {"type": "sequence", "of": "item"}}
    resolved = resolve(Config(label="click", features=features), columns=[])
    rows = pl.DataFrame({"item": ["a", "a", "rare"], "hist": [["a"], ["other"], ["a"]]})
    found = count_history([rows], resolved, fit([rows], resolved))
    assert (found.unknown, found.entries, found.matching) == (1, 3, 2)


def test_entries_that_are_values_of_no_item_are_held_against_none() -> None:
    features = {"item": {"type": "id"}, "hist": {"type": "sequence", "min_count": 2, "max_len": 2}}
    resolved = resolve(Config(label="click", features=features), columns=[])
    rows = pl.DataFrame({"item": ["a", "a", "b"], "hist": [["x"], ["x", "y"], ["x", "x", "y"]]})
    found = count_history([rows], resolved, fit([rows], resolved))
    assert (found.values, found.unknown, found.entries, found.truncated) == (5, 0, 0, 1)
