from typing import Any

import pytest

from recsys.config import Config, resolve
from recsys.features.coverage import Coverage
from recsys.features.coverage_report import coverage_report

RESOLVED = resolve(
    Config(
        label="click",
        features={
            "item": {"type": "id", "column": "item_id"},
            "hist": {"type": "sequence", "of": "item"},
            "price": {"type": "number"},
        },
    ),
    columns=[],
)


def said(by_split: dict[str, dict[str, Coverage]], **options: Any) -> list[str]:
    return list(coverage_report(by_split, RESOLVED, **options))


def unknown(share: float, rows: int = 1000) -> Coverage:
    return Coverage(rows=rows, missing=0, values=rows, unknown=int(share * rows))


def test_little_is_not_worth_a_line() -> None:
    few = Coverage(rows=1000, missing=99, truncated=99, values=900, unknown=89, entries=900, matching=450)
    assert said({"train": {"item": few, "hist": few, "price": few}, "valid": {}}) == []


def test_a_tenth_is_worth_a_line() -> None:
    tenth = Coverage(rows=1000, missing=100, values=900, unknown=90)
    assert said({"valid": {"item": tenth}}) == ["item: unknown 10 % of valid; missing 10 % of valid"]


def test_a_line_says_in_which_splits_a_share_is_high() -> None:
    splits = {
        "train": {"item": Coverage(rows=100, missing=20, values=80)},
        "valid": {"item": Coverage(rows=100, missing=20, values=80, unknown=24)},
        "test": {"item": Coverage(rows=1000, missing=0, truncated=500, values=1000, unknown=333)},
    }
    assert said(splits) == [
        "item: unknown 30 % of valid, 33.3 % of test; missing 20 % of train, 20 % of valid; truncated 50 % of test"
    ]


@pytest.mark.parametrize(("share", "is_warned"), [(0.94, False), (0.95, True), (1.0, True)])
def test_a_column_that_is_nearly_all_unknown_draws_a_warning(share: float, is_warned: bool) -> None:
    (line,) = said({"valid": {"item": unknown(share)}}, prefix="data.")
    assert line.startswith("warning: data.valid: ") == is_warned
    if is_warned:
        assert f"{100 * share:.3g} % of the values of item (column item_id) are unknown" in line
        assert "12.0 is not 12" in line


def test_in_training_rows_the_limits_of_the_vocabulary_are_to_blame() -> None:
    (line,) = said({"train": {"item": unknown(1.0)}})
    assert line.endswith("see its min_count, max_size or vocabulary")


@pytest.mark.parametrize("name", ["item", "hist", "price"])
def test_a_column_without_any_value_draws_a_warning(name: str) -> None:
    (line,) = said({"test": {name: Coverage(rows=1234, missing=1234)}}, prefix="data.")
    assert line.startswith("warning: data.test: ")
    assert line.endswith("has no value in any of 1,234 rows")


@pytest.mark.parametrize(
    ("matching", "expected"),
    [
        (0, "warning: train: no entry of hist is a value of item, "),
        (50, "warning: train: only 5 % of the entries of hist are values of item, "),
        (51, "hist: 5.1 % of its entries are values of item"),
        (499, "hist: 49.9 % of its entries are values of item"),
    ],
)
def test_a_history_whose_entries_are_hardly_ever_values_of_its_item_draws_a_warning(
    matching: int, expected: str
) -> None:
    found = Coverage(rows=400, missing=0, values=1000, entries=1000, matching=matching)
    (line,) = said({"train": {"hist": found}})
    assert line.startswith(expected)


def test_nothing_is_said_of_a_few_rows() -> None:
    few = Coverage(rows=19, missing=0, values=19, unknown=19, entries=19)
    assert said({"rows": {"item": few, "hist": few, "price": Coverage(rows=19, missing=19)}}) == []
