from datetime import date
from decimal import Decimal
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from numpy.testing import assert_array_equal

from recsys.errors import DataError
from recsys.evaluation.predictions import read_predictions
from recsys.evaluation.ranking import NO_GROUP

ROWS = {"label": [0, 1, 1], "score": [0.25, 0.5, 0.75], "weight": [1.0, 2.0, 0.0], "group": [7, 7, None]}


def write(path: Path, **changes: object) -> Path:
    pl.DataFrame(ROWS | changes, strict=False).write_parquet(path)
    return path


def test_the_file_of_a_run_is_read(tmp_path: Path) -> None:
    found = read_predictions(write(tmp_path / "test.parquet"))[""]
    assert (found.label.tolist(), found.score.tolist()) == ([0, 1, 1], [0.25, 0.5, 0.75])
    assert found.weight is not None
    assert found.group is not None
    assert (found.weight.tolist(), found.group.tolist()) == ([1.0, 2.0, 0.0], [7, 7, NO_GROUP])
    assert (len(found), found.source) == (3, str(tmp_path / "test.parquet"))


def test_columns_may_have_other_names_and_weights_and_groups_may_be_absent(tmp_path: Path) -> None:
    path = tmp_path / "scores.parquet"
    pl.DataFrame({"click": [True, False], "p": np.float32([0.5, 0.25])}).write_parquet(path)
    found = read_predictions(path, label="click", score="p")[""]
    assert (found.weight, found.group) == (None, None)
    assert (found.label.dtype, found.score.dtype) == (np.bool_, np.float32)


def test_several_tasks_share_weights_and_groups(tmp_path: Path) -> None:
    path = tmp_path / "test.parquet"
    pl.DataFrame(
        {
            "label.click": [0, 1],
            "score.click": [0.1, 0.2],
            "label.buy": [1, 0],
            "score.buy": [0.3, 0.4],
            "group": [1, 2],
        }
    ).write_parquet(path)
    found = read_predictions(path)
    assert list(found) == ["click", "buy"]
    assert (found["buy"].score.tolist(), found["buy"].source) == ([0.3, 0.4], f"{path}: buy")
    assert_array_equal(found["click"].group, found["buy"].group)


@pytest.mark.parametrize(
    "values",
    [
        ["ann", "bob", "ann", None],
        [1.5, float("nan"), 1.5, None],
        [True, False, True, None],
        [date(2024, 1, 1), date(2024, 1, 2), date(2024, 1, 1), None],
        pl.Series(["x", "y", "x", None], dtype=pl.Categorical),
        pl.Series([2**63 + 1, 2**63 + 2, 2**63 + 1, None], dtype=pl.UInt64),
        pl.Series([b"1", b"2", b"1", None]),
        pl.Series([-1, -2, -1, None], dtype=pl.Int8),
        pl.Series([Decimal("1.5"), Decimal("2.5"), Decimal("1.5"), None]),
    ],
    ids=lambda values: str(pl.Series(values).dtype),
)
def test_groups_of_any_type_are_told_apart(values: object, tmp_path: Path) -> None:
    path = tmp_path / "scores.parquet"
    pl.DataFrame({"label": [0, 1, 0, 1], "score": [0.1, 0.2, 0.3, 0.4], "user": values}).write_parquet(path)
    group = read_predictions(path, group="user")[""].group
    assert group is not None
    assert group[0] == group[2] != group[1]
    assert group[3] == NO_GROUP != group[0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"label": [0, 2, 3]}, r"label: a label must be 0 or 1, or between them; got 2 in row 2 \(2 of 3 values"),
        ({"label": [0, None, 1]}, "label: a label must not be missing, but is null in row 2; 1 of 3 values are null"),
        ({"label": ["no", "yes", "yes"]}, "label: a label must be a number, got String"),
        ({"label": [0.0, float("nan"), 1.0]}, "label: a label must be 0 or 1, or between them; got nan in row 2"),
        ({"score": [0.1, float("nan"), 0.2]}, r"score: a score must be a finite number; got nan in row 2 \(1 of 3"),
        ({"score": [0.1, 0.2, float("inf")]}, "score: a score must be a finite number; got inf in row 3"),
        ({"score": [None, None, None]}, "score: a score must not be missing, but is null in row 1; 3 of 3"),
        ({"score": [[0.1], [0.2], [0.3]]}, "score: a score must be a number, got List"),
        ({"weight": [1.0, -1.0, 1.0]}, "weight: a weight must be finite, at least 0, and not beyond float32; got -1.0"),
        ({"weight": [1.0, 1.0, 1e300]}, "weight: a weight must be .*; got 1e[+]300 in row 3"),
        ({"weight": [1e-300, 1.0, 1.0]}, "weight: a weight must be .*; got 1e-300 in row 1"),
        ({"weight": [1.0, None, 1.0]}, "weight: a weight must not be missing, but is null in row 2"),
        ({"group": [[1], [2], [3]]}, "group: a group must be one value, got List"),
    ],
)
def test_a_value_that_makes_no_sense_is_named(changes: dict[str, object], message: str, tmp_path: Path) -> None:
    path = write(tmp_path / "scores.parquet", **changes)
    with pytest.raises(DataError, match=f"scores.parquet: {message}"):
        read_predictions(path)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (
            {"label": "lable"},
            "has no column 'lable' for the label; did you mean 'label'[?]; the columns are label, sco",
        ),
        ({"score": "p"}, "has no column 'p' for the score; the columns are"),
        ({"weight": "weigth"}, "has no column 'weigth' for the weight; did you mean 'weight'"),
        ({"group": "user"}, "has no column 'user' for the group"),
    ],
)
def test_a_column_that_is_not_there_is_named(asked: dict[str, str], message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"scores.parquet: {message}"):
        read_predictions(write(tmp_path / "scores.parquet"), **asked)


@pytest.mark.parametrize("dtype", [pl.Int128, pl.UInt128, pl.Decimal(30, 5), pl.Float16])
def test_numbers_that_numpy_has_not_are_numbers_too(dtype: pl.DataType, tmp_path: Path) -> None:
    kinds = dict.fromkeys(("label", "score", "weight", "group"), dtype)
    columns = {"label": [0, 1], "score": [1, 0], "weight": [2, 0], "group": [7, 7]}
    pl.DataFrame(columns, schema_overrides=kinds).write_parquet(tmp_path / "scores.parquet")
    found = read_predictions(tmp_path / "scores.parquet")[""]
    assert (found.label.tolist(), found.score.tolist()) == ([0, 1], [1, 0])
    assert found.weight is not None
    assert found.weight.tolist() == [2, 0]
    assert found.group is not None
    assert found.group[0] == found.group[1]


def test_a_file_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere\.parquet: there is no such file"):
        read_predictions(tmp_path / "nowhere.parquet")
    (tmp_path / "text.parquet").write_text("label,score\n")
    with pytest.raises(DataError, match=r"text\.parquet: cannot be read as parquet"):
        read_predictions(tmp_path / "text.parquet")


def test_scores_that_are_no_probabilities_are_refused_where_those_are_needed(tmp_path: Path) -> None:
    found = read_predictions(write(tmp_path / "scores.parquet", score=[-1.5, 0.5, 2.0]))[""]
    message = r"scores\.parquet: score: must be between 0 and 1, .*; got -1\.5 in row 1 \(2 of 3 .*logits become"
    with pytest.raises(DataError, match=message):
        found.require_probabilities()
