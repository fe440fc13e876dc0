"""The type of a column is that of the first file which has one: ids do not depend on the order of files."""

from itertools import permutations
from pathlib import Path

import polars as pl
import pytest

from recsys.config import Config, DataSection, IdFeature, IdsFeature
from recsys.config.feature_types import FeatureSection
from recsys.data.prepare import find_key_kinds, prepare
from recsys.errors import DataError
from tests.data.prepared_clicks import table

NO_TEXT, NO_LIST = pl.Series([None] * 4), pl.Series([[], [None], None, []], dtype=pl.List(pl.Null))
CODES, MORE_CODES = pl.Series(["05", "5", "05", None]), pl.Series(["5", "7", None, ""])
HISTORIES = pl.Series([["a"], [], None, ["05", "b"]])


def write(folder: Path, **columns: pl.Series) -> None:
    for name, column in columns.items():
        pl.DataFrame({"x": column, "clicked": [0, 1, 0, 1]}).write_parquet(folder / f"{name}.parquet")


def config(feature: FeatureSection, *train: str, **splits: str) -> Config:
    section = DataSection(train=tuple(f"{name}.parquet" for name in train), **splits)
    return Config(label="clicked", features={"x": feature}, data=section)


@pytest.mark.parametrize("order", list(permutations(("nothing", "codes", "more"))))
@pytest.mark.parametrize("dtype", [pl.String, pl.Categorical, pl.Binary])
def test_a_column_without_any_value_in_one_file_has_the_ids_of_the_others_in_any_order(
    tmp_path: Path, order: tuple[str, ...], dtype: pl.DataType
) -> None:
    write(tmp_path, nothing=NO_TEXT, codes=CODES.cast(dtype), more=MORE_CODES)
    made = config(IdFeature(type="id"), *order, valid="codes.parquet")
    prepared = prepare(made, tmp_path, tmp_path / "cache")
    assert prepared.state.vocabularies["x"].size == 6  # unknown, null, 05, 5, 7, empty
    five, plain_five, same, null = table(prepared.splits["valid"])["x"].to_pylist()
    assert five == same != plain_five
    assert null == 1  # the most frequent


@pytest.mark.parametrize("order", list(permutations(("nothing", "empty", "lists"))))
def test_lists_without_any_entry_are_lists_of_what_the_others_hold(tmp_path: Path, order: tuple[str, ...]) -> None:
    write(tmp_path, nothing=NO_TEXT, empty=NO_LIST, lists=HISTORIES)
    made = config(IdsFeature(type="ids"), *order, valid="lists.parquet")
    assert find_key_kinds(made, tmp_path) == {"x": "text"}
    assert prepare(made, tmp_path, tmp_path / "cache").state.vocabularies["x"].size == 5  # unknown, null, a, 05, b


def test_another_split_tells_the_type_if_no_training_file_does(tmp_path: Path) -> None:
    write(tmp_path, nothing=NO_TEXT, numbers=pl.Series([1, 2, 3, 4]), codes=CODES)
    feature = IdFeature(type="id")
    assert find_key_kinds(config(feature, "nothing", valid="numbers.parquet"), tmp_path) == {"x": "int"}
    made = config(feature, "nothing", valid="nothing.parquet", test="codes.parquet")
    assert find_key_kinds(made, tmp_path) == {"x": "text"}
    prepared = prepare(made, tmp_path, tmp_path / "cache")
    assert prepared.state.vocabularies["x"].size == 2  # null alone is known


FLAGS, NUMBERS = pl.Series([True, False, None, True]), pl.Series([3, 7, 3, 5])


@pytest.mark.parametrize(
    ("train", "valid", "message"),
    [
        (CODES, FLAGS, r"expected text as in training, the column holds Boolean; in .*train.parquet it is String$"),
        (NUMBERS, CODES + "c", r"expected an integer, got '05c' \(row \d\); in .*train.parquet it is Int64$"),
        (CODES, pl.Series([[1]] * 4), r"expected ids .*, the column holds List.*; in .*train.parquet it is String$"),
        (NUMBERS, NUMBERS + 0.5, r"expected an id .*, got \d\.5 \(row \d\)$"),
    ],
)
def test_types_that_do_not_go_together_are_an_error_which_names_both_files(
    train: pl.Series, valid: pl.Series, message: str, tmp_path: Path
) -> None:
    """And no unknown ids."""
    write(tmp_path, train=train, valid=valid)
    with pytest.raises(DataError, match=rf"valid.parquet: column x: {message}"):
        prepare(config(IdFeature(type="id"), "train", valid="valid.parquet"), tmp_path, tmp_path / "cache")
