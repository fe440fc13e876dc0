"""One truth about types: what `init` prints can be prepared, and what training reads `init` offers."""

import re
from decimal import Decimal
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from pyarrow import parquet

from recsys.config import Config, DataSection, load_config
from recsys.config.feature_types import (
    BucketFeature,
    DatetimeFeature,
    FeatureSection,
    IdFeature,
    IdsFeature,
    NumberFeature,
)
from recsys.data.prepare import prepare
from recsys.data.targets import targets
from recsys.errors import DataError
from recsys.features.types import handlers_of
from recsys.features.values import BadColumn, BadValue, key_kind
from recsys.features.warn import warnings_about
from recsys.sources.column_types import Family
from recsys.sources.source import open_source
from recsys.suggest.profile import profile
from recsys.suggest.rules import suggest_column
from recsys.suggest.suggest import suggest_for_file
from tests.sources.arrow_types import ODD, ROWS, STORED, write_columns
from tests.sources.csv_looks import LOOKS, Look, csv_text

FEATURES: list[FeatureSection] = [
    IdFeature(type="id"),
    IdsFeature(type="ids"),
    NumberFeature(type="number"),
    BucketFeature(type="bucket", boundaries=(5.0,)),
    DatetimeFeature(type="datetime"),
]


def readers(series: pl.Series) -> list[str]:
    """Return the feature types that read a column."""
    found = []
    for feature in FEATURES:
        try:
            handlers_of({"x": feature})["x"].canonicalize(series, key_kind(series.dtype))
            found.append(feature.type)
        except (BadColumn, BadValue):
            pass
    return found


@pytest.mark.parametrize("name", STORED)
def test_init_offers_what_some_feature_type_reads_and_says_why_it_leaves_out_the_rest(
    name: str, tmp_path: Path
) -> None:
    path = write_columns(tmp_path / "f.parquet", x=STORED[name].array())
    found = suggest_column(profile(path, DataSection())[1])
    if STORED[name].family == "null":
        assert found.note == "no values"
    elif reading := readers(pl.read_parquet(path)["x"]):
        assert not found.left_out
        assert found.spec["type"] in reading
    else:
        assert found.left_out
        assert found.note.startswith(f"there is no feature type for {found.column.dtype}: ")


def test_what_init_prints_for_all_types_is_prepared(tmp_path: Path) -> None:
    columns = {f"x{i}_{'ab'[i % 2]}": one.array() for i, one in enumerate(STORED.values())}
    path = write_columns(tmp_path / "f.parquet", **columns)
    (tmp_path / "c.yaml").write_text(suggest_for_file(path, label="click"))
    config = load_config(tmp_path / "c.yaml")
    prepared = prepare(config, tmp_path, tmp_path / "cache")
    assert sum(split.num_rows for split in prepared.splits.values()) == ROWS
    assert len(config.features) == sum(one.family not in ("null", "other") for one in STORED.values()) - 9


@pytest.mark.parametrize("name", ODD)
def test_a_type_that_polars_does_not_know_is_read_as_one_that_it_knows_or_left_out(name: str, tmp_path: Path) -> None:
    array, expected = ODD[name]
    path = write_columns(tmp_path / "f.arrow", x=array, user=pa.array([3, 4] * (ROWS // 2)))
    found = suggest_column(profile(path, DataSection())[1])
    assert (found.left_out, found.spec.get("type", "")) == (not expected, expected)
    (tmp_path / "c.yaml").write_text(suggest_for_file(path, label="click"))
    config = load_config(tmp_path / "c.yaml")
    prepare(config, tmp_path, tmp_path / "cache")
    if not expected:
        config = Config(label="click", features={"x": IdFeature(type="id")}, data=DataSection(train=str(path)))
        with pytest.raises(DataError, match=r"column x: .*(store it as another type|expected UTF-8 text)"):
            prepare(config, tmp_path, tmp_path / "cache")


@pytest.mark.parametrize("look", LOOKS, ids=lambda look: look.name)
def test_a_csv_column_is_offered_as_what_it_looks_like_or_left_out_with_the_reason(look: Look, tmp_path: Path) -> None:
    path = tmp_path / "f.csv"
    path.write_text(csv_text([look]), encoding="utf-8")
    found = suggest_column(profile(path, DataSection())[1])
    assert found.left_out == (not look.type)
    assert found.note if found.left_out else found.spec["type"] == look.type


def test_what_init_prints_for_all_looks_of_csv_columns_is_prepared(tmp_path: Path) -> None:
    path = tmp_path / "f.csv"
    path.write_text(csv_text(LOOKS), encoding="utf-8")
    (tmp_path / "c.yaml").write_text(suggest_for_file(path, label="click"), encoding="utf-8")
    config = load_config(tmp_path / "c.yaml")
    prepared = prepare(config, tmp_path, tmp_path / "cache")
    assert warnings_about(prepared.resolved, prepared.state) == []
    assert {name: feature.type for name, feature in config.features.items()} == {
        look.name: look.type for look in LOOKS if look.type
    }


@pytest.mark.parametrize(
    "times",
    [
        pl.Series([2**52, 7]).cast(pl.Datetime("ms")),
        pl.Series([2**62, 7]).cast(pl.Datetime("us", "Europe/Rome")),
        pl.Series([2**26, 7], dtype=pl.Int32).cast(pl.Date),
    ],
)
def test_times_that_no_calendar_of_python_can_show_are_times(times: pl.Series, tmp_path: Path) -> None:
    path = write_columns(tmp_path / "f.parquet", x=pl.concat([times] * 20).to_arrow())
    assert suggest_column(profile(path, DataSection())[1]).spec["type"] == "datetime"


@pytest.mark.parametrize(
    "array",
    [
        pa.array([[2**62], [1]] * 30, pa.list_(pa.timestamp("ms"))),
        pa.array([[2**30, 1, 2], [1, 2, 3]] * 30, pa.list_(pa.int32(), 3)).cast(pa.list_(pa.date32(), 3)),
        pa.array([-5, 1] * 30, pa.time64("us")),
        pa.array([[-5], [1]] * 30, pa.list_(pa.time64("us"))),
    ],
    ids=lambda array: str(array.type),
)
def test_impossible_values_of_a_type_that_no_feature_reads_do_not_cost_the_draft(
    array: pa.Array, tmp_path: Path
) -> None:
    path = write_columns(tmp_path / "f.arrow", x=array, user=pa.array([3, 4] * 30))
    assert re.search(r"# x +# there is no feature type for ", suggest_for_file(path, label="click"))
    with pytest.raises(DataError, match=r"column x: a label must be 0 or 1, it holds (List|Array|Time)"):
        suggest_for_file(path, label="x")


def drafted(path: Path, columns: dict[str, list[object]]) -> dict[str, str]:
    """Return key -> value of a draft, features included, that is prepared without a problem."""
    pl.DataFrame({"click": [0, 1, 1, 0] * 10, **columns}).write_parquet(path / "f.parquet")
    (path / "c.yaml").write_text(suggest_for_file(path / "f.parquet", label="click"))
    config = load_config(path / "c.yaml")
    prepare(config, path, path / "cache")
    return {"group": str(config.group), "weight": str(config.weight)} | {
        name: feature.type for name, feature in config.features.items()
    }


def test_a_draft_promises_nothing_that_only_most_values_or_columns_keep(tmp_path: Path) -> None:
    fractions = [0.5, 1.0, 2.0, 3.25] * 10
    odd_history = ["3|7", "7|3", "3", "7"] * 9 + ["3|7", "7|3", "3", "3|x"]
    families = {f"A{i}": [3, 7 + i] * 20 for i in (1, 2, 3)}
    found = drafted(
        tmp_path,
        {
            "user_id": fractions,
            "item": [3, 7] * 20,
            "items": [*odd_history],
            "row_weight": [1.0, None, 2.0, 0.5] * 10,
            **families,
            "A4": [0.5, 3.25] * 20,
        },
    )
    assert (found["group"], found["weight"], found["items"], found["A4"]) == ("None", "None", "ids", "number")


BITS: dict[Family, tuple[object, object]] = {
    "integer": (0, 1),
    "float": (0.0, 1.0),
    "decimal": (Decimal(0), Decimal(1)),
    "boolean": (False, True),
    "text": ("0", "1"),
}


@pytest.mark.parametrize("name", [name for name in STORED if "[3]" not in name])
def test_a_label_and_a_weight_of_any_type_are_taken_by_init_if_by_training(name: str, tmp_path: Path) -> None:
    stored = STORED[name]
    if not isinstance(stored.first, list):
        bits = BITS.get(stored.family, (stored.first, stored.second))
        stored = stored._replace(first=bits[0], second=bits[1])
    column = stored.array(gaps=False)
    path = tmp_path / "f.parquet"
    plain = {"user": pa.array([3, 4] * (ROWS // 2))}
    parquet.write_table(pa.table({"click": column, "row_weight": column, **plain}), path)
    config = Config(label="click", weight="row_weight", features={"user": IdFeature(type="id")})
    source = open_source([path], DataSection())
    try:
        for chunk in source.chunks(list(source.columns)):
            targets(chunk.frame, config, chunk.location)
    except DataError:
        with pytest.raises(DataError, match="a label must be 0 or 1"):
            suggest_for_file(path, label="click")
    else:
        assert "weight: row_weight" in suggest_for_file(path, label="click")
