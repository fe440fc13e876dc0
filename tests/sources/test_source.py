import gzip
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from recsys.config import DataSection
from recsys.errors import DataError
from recsys.sources.find_files import find_files
from recsys.sources.source import Source, open_source
from tests.sources.files import FRAME, WRITERS, read


@pytest.mark.parametrize("form", ["parquet", "arrow"])
@pytest.mark.parametrize("rows", [1, 2, 3, 5, 100])
def test_frames_hold_all_rows_in_order_and_no_more_than_asked(tmp_path: Path, form: str, rows: int) -> None:
    path = tmp_path / f"f.{form}"
    WRITERS[form](FRAME, path)
    frames = list(open_source([path], DataSection()).frames(["t", "a", "l"], rows))
    assert [len(frame) for frame in frames[:-1]] == [rows] * (len(frames) - 1)
    assert pl.concat(frames).equals(FRAME.select("t", "a", "l"))


LABELLED = DataSection(header=False, columns=("y", "a", "b"))


@pytest.mark.parametrize(("name", "row"), [("f.tsv", "1\t2"), ("f.csv", '"1,5",2'), ("f.txt", "\t2")])
def test_a_file_without_header_may_lack_the_optional_columns(tmp_path: Path, name: str, row: str) -> None:
    (tmp_path / name).write_text(f"{row}\n{row}\n")
    source = open_source([tmp_path / name], LABELLED, optional=["y"])
    assert list(source.columns) == ["a", "b"]
    assert pl.concat(source.frames(["b", "a"])).shape == (2, 2)


def test_and_may_have_them_though_another_file_lacks_them(tmp_path: Path) -> None:
    (tmp_path / "new.csv").write_text("1,2\n")
    (tmp_path / "old.csv").write_text("0,3,4\n")
    source = open_source([tmp_path / "new.csv", tmp_path / "old.csv"], LABELLED, optional=["y"])
    assert pl.concat(source.frames(["a", "b"])).rows() == [("1", "2"), ("3", "4")]


def test_any_other_number_of_columns_is_refused(tmp_path: Path) -> None:
    (tmp_path / "f.csv").write_text("1,2\n")
    for optional in ((), ("y", "a")):
        with pytest.raises(DataError, match=r"expected 3 fields \(y, a, b\), got 2"):
            list(open_source([tmp_path / "f.csv"], LABELLED, optional=optional).frames(["b"]))


def test_separator_format_and_compression_follow_the_config_and_the_name(tmp_path: Path) -> None:
    path = tmp_path / "f.csv.gz"
    path.write_bytes(gzip.compress(b"a;b\n1;2\n"))
    assert read(path, separator=";").to_dict(as_series=False) == {"a": ["1"], "b": ["2"]}


def test_many_files_are_one_sequence_of_rows_and_know_their_location(tmp_path: Path) -> None:
    for name, start in [("a", 0), ("b", 3)]:
        pl.DataFrame({"x": range(start, start + 3)}).write_parquet(tmp_path / f"{name}.parquet")
    source = open_source(find_files("*.parquet", tmp_path, "data.train"), DataSection())
    chunks = list(source.chunks(["x"], 2))
    assert [chunk.frame["x"].to_list() for chunk in chunks] == [[0, 1], [2], [3, 4], [5]]
    assert [chunk.first_row for chunk in chunks] == [0, 2, 3, 5]
    assert [(Path(chunk.location.source).stem, chunk.location.first_row) for chunk in chunks[2:]] == [
        ("b", 0),
        ("b", 2),
    ]
    assert source.num_rows() == 6


def test_csv_rows_are_not_known_before_reading(tmp_path: Path) -> None:
    (tmp_path / "f.csv").write_text("a\n1\n")
    assert open_source([tmp_path / "f.csv"], DataSection()).num_rows() is None


def test_files_without_rows_have_columns_and_no_frames(tmp_path: Path) -> None:
    (tmp_path / "f.csv").write_text("a,b\n")
    FRAME[:0].write_parquet(tmp_path / "f.parquet")
    FRAME[:0].write_ipc(tmp_path / "f.arrow")
    for form, columns in [("csv", ["a", "b"]), ("parquet", FRAME.columns), ("arrow", FRAME.columns)]:
        source = open_source([tmp_path / f"f.{form}"], DataSection())
        assert list(source.columns) == columns
        assert list(source.frames(columns)) == []


def test_a_pattern_finds_files_in_the_order_of_their_names_and_once(tmp_path: Path) -> None:
    for name in ["b2.csv", "b1.csv", "a.csv", "c.txt"]:
        (tmp_path / name).touch()
    found = find_files(("b*.csv", "*.csv", str(tmp_path / "c.*")), tmp_path, "data.train")
    assert [path.name for path in found] == ["b1.csv", "b2.csv", "a.csv", "c.txt"]


HIDDEN = ["a.csv", "_SUCCESS", ".a.csv.crc", "._a.csv", "_tmp/0.csv", ".git/b.csv", "day=1/_x.csv", "day=1/b.csv"]


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("*.csv", ["a.csv"]),
        ("**/*.csv", ["a.csv", "day=1/b.csv"]),
        ("**", None),
        ("*/*", ["day=1/b.csv"]),
        ("[._]*", None),
        ("_*", ["_SUCCESS"]),
        (".*.csv", ["._a.csv"]),
        ("_tmp/*.csv", ["_tmp/0.csv"]),
        ("*/_x*", ["day=1/_x.csv"]),
        ("_tmp/0.csv", ["_tmp/0.csv"]),
        ("./**/.git/*", [".git/b.csv"]),
    ],
)
def test_wildcards_stand_for_no_hidden_name(tmp_path: Path, pattern: str, found: list[str] | None) -> None:
    for name in HIDDEN:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    if found is None:
        with pytest.raises(DataError, match=r"no file matches|can be no path"):
            find_files(pattern, tmp_path, "data.train")
    else:
        paths = find_files(pattern, tmp_path, "data.train")
        assert [str(path.relative_to(tmp_path)) for path in paths] == found


def test_a_pattern_that_only_hidden_names_match_says_so(tmp_path: Path) -> None:
    (tmp_path / "_SUCCESS").touch()
    with pytest.raises(DataError, match=r"no file matches .*; names that begin with \. or _ are skipped unless"):
        find_files("*", tmp_path, "data.train")


@pytest.mark.parametrize("form", ["parquet", "arrow"])
def test_null_values_are_null_in_every_column_of_text(tmp_path: Path, form: str) -> None:
    texts = pl.Series("t", ["a", "NA", None, ""])
    others = [texts.cast(pl.Categorical).alias("c"), texts.cast(pl.Binary).alias("b")]
    frame = pl.DataFrame([texts, *others, pl.Series("n", [1, 2, 3, 4])])
    WRITERS[form](frame, tmp_path / f"f.{form}")
    assert read(tmp_path / f"f.{form}").equals(frame)
    found = read(tmp_path / f"f.{form}", null_values=("NA", "a"))
    assert found["t"].to_list() == found["c"].cast(pl.String).to_list() == [None, None, None, ""]
    assert found["b"].to_list() == [None, None, None, b""]
    assert found["n"].to_list() == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("x.csv", r"data.valid: there is no file .*/x.csv"),
        ("part-*.csv", r"data.valid: no file matches 'part-\*.csv' in /.*"),
        ("folder", r"data.valid: .*/folder is a folder; name its files, for example folder/\*.parquet"),
    ],
)
def test_files_that_are_not_there_are_named(tmp_path: Path, pattern: str, message: str) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(DataError, match=message):
        find_files(pattern, tmp_path, "data.valid")


def pair(tmp_path: Path, first: pl.DataFrame, second: pl.DataFrame) -> Source:
    paths = [tmp_path / "1.parquet", tmp_path / "2.parquet"]
    first.write_parquet(paths[0])
    second.write_parquet(paths[1])
    return open_source(paths, DataSection())


@pytest.mark.parametrize(
    ("first", "second"), [([1], ["x"]), ([1], [[1]]), ([[1]], [["x"]]), ([True], ["x"]), ([1.0], ["x"])]
)
def test_a_later_file_with_another_type_is_refused(tmp_path: Path, first: list[Any], second: list[Any]) -> None:
    source = pair(tmp_path, pl.DataFrame({"a": first}), pl.DataFrame({"a": second}))
    with pytest.raises(DataError, match=r"2.parquet: column a: expected .* as in .*1.parquet, it holds "):
        list(source.frames(["a"]))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ([1], pl.Series([1], dtype=pl.Int8)),
        ([1], [1.0]),
        ([1], [None]),
        (["x"], pl.Series(["x"], dtype=pl.Categorical)),
    ],
)
def test_a_later_file_may_store_the_same_values_in_another_way(tmp_path: Path, first: Any, second: Any) -> None:
    source = pair(tmp_path, pl.DataFrame({"a": first}), pl.DataFrame({"a": second}))
    assert len(list(source.frames(["a"]))) == 2


def test_a_later_file_without_a_column_is_refused(tmp_path: Path) -> None:
    source = pair(tmp_path, pl.DataFrame({"a": [1], "price": [1]}), pl.DataFrame({"a": [1], "prices": [1]}))
    assert len(list(source.frames(["a"]))) == 2
    with pytest.raises(DataError, match=r"2.parquet: no column 'price'; did you mean 'prices'\?"):
        list(source.frames(["a", "price"]))


def test_a_later_csv_file_with_another_header_is_refused(tmp_path: Path) -> None:
    (tmp_path / "1.csv").write_text("a,b\n1,2\n")
    (tmp_path / "2.csv").write_text("b,a\n1,2\n")
    with pytest.raises(DataError, match=r"2.csv: expected the header of .*1.csv, got b, a"):
        open_source([tmp_path / "1.csv", tmp_path / "2.csv"], DataSection())


def test_an_unknown_suffix_needs_a_format(tmp_path: Path) -> None:
    (tmp_path / "day.log").write_text("a\n1\n")
    with pytest.raises(DataError, match=r"day.log: the format does not follow from the name; set data.format"):
        open_source([tmp_path / "day.log"], DataSection())
    assert read(tmp_path / "day.log", format="csv").to_dict(as_series=False) == {"a": ["1"]}


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is a folder; name one of its files"):
        open_source([tmp_path], DataSection())
