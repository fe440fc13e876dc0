"""The slices that columns of all kinds make."""

from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from recsys.config.feature_types import DatetimeFeature, IdFeature, IdsFeature, NumberFeature
from recsys.features.counts import ValueCounts
from recsys.features.vocabulary import Vocabulary, VocabularyCounter
from recsys.judging.groupings import MOST_VALUES, Grouping, Known, RawColumn, groupings

DAY = datetime(2024, 2, 28, 22)


def rows_by_slice(grouping: Grouping) -> dict[str, int]:
    return dict(zip(grouping.names, grouping.groups.sums().astype(int).tolist(), strict=True))


def found(series: pl.Series, known: Known | None = None) -> dict[str, dict[str, int]]:
    """Return by kind of slices the number of rows of each."""
    return {one.by: rows_by_slice(one) for one in groupings(RawColumn.of(series.alias("x"), known))}


CASES: dict[str, tuple[pl.Series, dict[str, dict[str, int]]]] = {
    "texts": (pl.Series(["b", "a", None, "a"]), {"value": {"a": 2, "b": 1, "null": 1}}),
    "empty texts": (pl.Series(["", "a", "a"]), {"value": {"a": 2, "": 1}}),
    "categories": (pl.Series(["b", "a", "a"], dtype=pl.Categorical), {"value": {"a": 2, "b": 1}}),
    "truth values": (pl.Series([True, None, True]), {"value": {"true": 2, "null": 1}}),
    "few numbers": (pl.Series([2.5, 1.0, float("nan"), 1.0, None]), {"value": {"1": 2, "2.5": 1, "null": 2}}),
    "numbers": (
        pl.Series([0.5] * 55 + [1000.0 * i for i in range(1, 46)]),
        {
            "quantile": {
                "0.5": 55,
                "1,000 to 5,000": 5,
                **{f"{10 * i - 4},000 to {10 * i + 5},000": 10 for i in range(1, 5)},
            }
        },
    ),
    "lists": (pl.Series([[1, 2], [], None, [3, 4]], dtype=pl.List(pl.Int64)), {"length": {"0": 1, "2": 2, "null": 1}}),
    "arrays": (pl.Series([[1, 2], [3, 4]], dtype=pl.Array(pl.Int64, 2)), {"length": {"2": 2}}),
    "dates": (
        pl.Series([date(2024, 2, 28), date(2024, 3, 1), None]),
        {"day": {"2024-02-28 Wed": 1, "2024-03-01 Fri": 1, "null": 1}},
    ),
    "dates of years": (
        pl.Series([date(2023, 12, 31), date(2024, 12, 1), date(2024, 12, 2)]),
        {"month": {"2023-12": 1, "2024-12": 2}},
    ),
    "hours": (
        pl.Series([DAY, DAY + timedelta(hours=3), None]),
        {"hour": {"2024-02-28 22:00": 1, "2024-02-29 01:00": 1, "null": 1}},
    ),
    "times of days": (
        pl.Series([DAY, DAY + timedelta(days=9), DAY + timedelta(days=10, minutes=70)]),
        {
            "day": {"2024-02-28 Wed": 1, "2024-03-08 Fri": 1, "2024-03-09 Sat": 1},
            "hour of the day": {"22:00 to 22:59": 2, "23:00 to 23:59": 1},
        },
    ),
    "nothing but nulls": (pl.Series([None, None]), {"value": {"null": 2}}),
    "nulls of a type": (pl.Series([None, None], dtype=pl.Float64), {"value": {"null": 2}}),
    "structs": (pl.Series([{"a": 1}, {"a": 1}, {"a": 2}]), {"value": {"{1}": 2, "{2}": 1}}),
    "no rows": (pl.Series([], dtype=pl.String), {"value": {}}),
}


@pytest.mark.parametrize(("series", "expected"), CASES.values(), ids=CASES)
def test_a_column_is_sliced_by_what_it_holds(series: pl.Series, expected: Any) -> None:
    assert found(series) == expected


def test_slices_are_few_whatever_the_column() -> None:
    counts = found(pl.Series([f"v{i}" for i in range(200) for _ in range(1 + (i < 60))]))["value"]
    assert len(counts) == MOST_VALUES
    assert counts["others (151 values)"] == 260 - 2 * (MOST_VALUES - 1)
    numbers = found(pl.Series(np.random.default_rng(0).normal(size=1000)))["quantile"]
    assert set(numbers.values()) == {100}


def test_a_column_is_read_as_the_feature_of_the_run_reads_it() -> None:
    hours = Known(DatetimeFeature(type="datetime", format="%y%m%d%H", use=False))
    assert found(pl.Series([14102100, 14102103]), hours) == {"hour": {"2014-10-21 00:00": 1, "2014-10-21 03:00": 1}}
    lists = Known(IdsFeature(type="ids", separator="|"), "text")
    assert found(pl.Series(["a|b", "", None, "c|d"]), lists) == {"length": {"0": 1, "2": 2, "null": 1}}
    assert found(pl.Series(["7", "7", "8.5"]), Known(NumberFeature(type="number"))) == {"value": {"7": 2, "8.5": 1}}


def test_values_that_the_feature_cannot_read_are_sliced_as_they_are() -> None:
    assert found(pl.Series(["7", "seven"]), Known(NumberFeature(type="number"))) == {"value": {"7": 1, "seven": 1}}


def vocabulary(counts: dict[int, int], min_count: int = 1) -> Vocabulary:
    counter = VocabularyCounter()
    counter.values = ValueCounts()
    for key, count in counts.items():
        counter.add(np.full(count, key))
    return counter.finish(min_count=min_count, max_size=None)


@pytest.mark.parametrize(("min_count", "unseen"), [(1, "unseen in training"), (2, "unseen in training, or too rare")])
def test_ids_are_sliced_by_how_often_they_occurred_in_training(min_count: int, unseen: str) -> None:
    known = Known(IdFeature(type="id"), "int", vocabulary({1: 1, 2: 9, 3: 10, 4: 99, 5: 100, 6: 1000}, min_count))
    counts = found(pl.Series([1, 2, 3, 4, 5, 6, 7, 7, None]), known)["training frequency"]
    assert next(iter(counts)).startswith(unseen)
    assert list(counts.values()) == [2 + (min_count == 2), 2 - (min_count == 2), 2, 1, 1, 1]
    assert list(counts)[-1] == "null"


def test_ids_that_all_were_trained_on_alike_are_not_sliced_by_that() -> None:
    known = Known(IdFeature(type="id"), "int", vocabulary({1: 50, 2: 60}))
    assert list(found(pl.Series([1, 2, 2]), known)) == ["value"]


def test_parts_of_a_column_are_joined_whatever_types_files_store_it_in() -> None:
    parts = [RawColumn.of(pl.Series("x", values)) for values in ([1, 2], [2.0, None])]
    assert parts[0].joined(parts[1:]).values.to_list() == [1, 2, 2, None]
    texts = [RawColumn.of(pl.Series("x", values)) for values in (["a", "b"], ["b", None])]
    assert texts[0].joined(texts[1:]).values.cast(pl.String).to_list() == ["a", "b", "b", None]
