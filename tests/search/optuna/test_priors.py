from pathlib import Path
from typing import Any

from recsys.search.optuna.priors import first_params, nearest_params
from tests.search.optuna.small_search import small_search

WIDE = {"tower": "mlp", "dim": 32}


def widths(params: list[dict[str, Any]]) -> list[tuple[int, int]]:
    return [(one["dim user"], one["dim item"]) for one in params]


def test_uniform_widths_come_first_and_then_those_by_the_sizes_of_vocabularies(tmp_path: Path) -> None:
    space = small_search(tmp_path, model=WIDE, search={"dims": [4, 8, 12, 16, 20, 24, 28, 32]}).space
    found = widths(first_params(space, None, 0))
    assert found[:8] == [(32, 32), (28, 28), (24, 24), (20, 20), (16, 16), (12, 12), (8, 8), (4, 4)]
    assert found[8:] == [(32, 28), (28, 32)]


def test_first_trials_have_rows_of_16_bits_unless_the_tables_state_a_precision(tmp_path: Path) -> None:
    search = {"dims": [4, 8]}
    free = first_params(small_search(tmp_path, search=search).space, None, 0)
    assert {one["precision"] for one in free} == {"fp16"}
    stated = small_search(
        tmp_path, search=search, tables={"all": {"features": ["*"], "serving_precision": "fp32"}}
    ).space
    assert all("precision" not in one for one in first_params(stated, None, 0))
    assert {shape.precision for shape in stated.shapes({"dim user": 4, "dim item": 4}, stated.prepared).values()} == {
        "fp32"
    }


def test_widths_by_sizes_are_also_made_as_large_as_the_budget_allows(tmp_path: Path) -> None:
    space = small_search(tmp_path, model=WIDE, search={"dims": [4, 8, 12, 16, 20, 24, 28, 32]}).space
    budget = 2 * (21 + 13) * 23
    without, within = (widths(first_params(space, limit, 0)) for limit in (None, budget))
    added = [one for one in within if one not in without]
    assert added
    assert all(2 * (21 * user + 13 * item) <= budget for user, item in added)


def test_other_keys_are_as_in_the_configuration_or_as_near_as_the_space_has_it(tmp_path: Path) -> None:
    search = {"dims": {}, "space": {"train.dense_optimizer.lr": {"low": 0.1, "high": 0.2}, "train.epochs": [1, 3]}}
    assert nearest_params(small_search(tmp_path, search=search).space) == {
        "train.dense_optimizer.lr": 0.1,
        "train.epochs": 3,
    }
