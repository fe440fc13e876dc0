import polars as pl
import pytest

from recsys.config import Config
from recsys.data.targets import targets
from recsys.errors import DataError
from recsys.sources.location import RowLocation

FEATURES = {"user": {"type": "id"}}


@pytest.mark.parametrize("weight", [-1.0, -1e-300, float("nan"), float("inf"), 1e39, None])
def test_a_weight_that_is_negative_or_no_finite_number_is_refused_with_its_row(weight: float | None) -> None:
    frame = pl.DataFrame({"click": [0, 1, 0], "w": [1.0, 2.0, weight]})
    with pytest.raises(DataError, match=r"column w: expected a finite weight of at least 0, got .* \(row 3\)"):
        targets(frame, Config(label="click", weight="w", features=FEATURES), RowLocation())


def test_a_label_that_is_missing_for_one_task_is_refused_with_what_to_do() -> None:
    frame = pl.DataFrame({"click": [0, 1], "buy": [1, None]})
    both = Config(label={"click": "click", "buy": "buy"}, features=FEATURES)
    with pytest.raises(
        DataError, match=r"got null; a row needs the labels of all tasks.*train a model for each task \(row 2\)"
    ):
        targets(frame, both, RowLocation())
    with pytest.raises(DataError, match=r"expected a label of 0 or 1, got null \(row 2\)"):
        targets(frame, Config(label="buy", features=FEATURES), RowLocation())


@pytest.mark.parametrize("label", [-1.0, -1e-9, 1.5, 2.0, float("nan"), float("inf")])
def test_a_label_that_does_not_lie_between_0_and_1_is_refused_with_its_row(label: float) -> None:
    frame = pl.DataFrame({"click": [0.0, 1.0, label]})
    with pytest.raises(DataError, match=r"column click: expected a label of 0 or 1, got .* \(row 3\)"):
        targets(frame, Config(label="click", features=FEATURES), RowLocation())
