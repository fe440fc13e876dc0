import numpy as np
import polars as pl
import pytest

from recsys.suggest.leaks import single_column_auc


def test_numbers_are_judged_by_their_order() -> None:
    frame = pl.DataFrame({"click": [0, 0, 1, 1], "x": [0.1, 0.4, 0.4, 0.8], "text": ["1", "2", "2", "4"]})
    found = single_column_auc(frame, "click", ["x", "text"])
    assert found == {"x": 0.875, "text": 0.875}


def test_values_are_judged_by_the_labels_of_other_rows() -> None:
    rng = np.random.default_rng(0)
    click = rng.integers(0, 2, 4000)
    frame = pl.DataFrame(
        {
            "click": click,
            "state": np.where(click == 1, "bought", "left"),
            "row": [f"row {i}" for i in range(4000)],
            "noise": rng.choice(["a", "b", "c"], 4000),
        }
    )
    found = single_column_auc(frame, "click", frame.columns)
    assert found["state"] == 1.0
    assert found["row"] == 0.5
    assert found["noise"] == pytest.approx(0.5, abs=0.05)
    assert "click" not in found


def test_missing_values_can_give_the_answer_away() -> None:
    frame = pl.DataFrame({"click": [0, 1] * 200, "paid": [None, 3.5] * 200}).sample(fraction=1.0, shuffle=True, seed=0)
    assert single_column_auc(frame, "click", ["paid"]) == {"paid": 1.0}


def test_lists_and_labels_of_one_class_are_not_judged() -> None:
    assert single_column_auc(pl.DataFrame({"click": [0, 1], "x": [[1], [2]]}), "click", ["x"]) == {}
    assert single_column_auc(pl.DataFrame({"click": [1, 1], "x": [1, 2]}), "click", ["x"]) == {}
    assert single_column_auc(pl.DataFrame({"click": ["yes", "no"], "x": [1, 2]}), "click", ["x"]) == {}
