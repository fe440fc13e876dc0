import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from recsys.config import DataSection
from recsys.errors import DataError
from recsys.sources import formats
from recsys.sources.source import Source, find_files, open_source

FRAME = pl.DataFrame(
    {"a": [1, 2, None, 4, 5], "t": ["x", "", None, 'q"uote', "a,b"], "l": [[1], [], None, [2, 3], [4]]}
)
WRITERS: dict[str, Callable[[pl.DataFrame, Path], Any]] = {
    "parquet": lambda frame, path: frame.write_parquet(path, row_group_size=2),
    "arrow": lambda frame, path: frame.write_ipc(path, compression="zstd", record_batch_size=2),
}


def read(*paths: Path, columns: list[str] | None = None, rows: int = 100, **data: Any) -> pl.DataFrame:
    source = open_source(paths, DataSection(**data))
    return pl.concat(source.frames(columns or list(source.columns), rows))


@pytest.mark.parametrize("form", ["parquet", "arrow"])
@pytest.mark.parametrize("rows", [1, 2, 3, 5, 100])
def test_frames_hold_all_rows_in_order_and_no_more_than_asked(tmp_path: Path, form: str, rows: int) -> None:
    path = tmp_path / f"f.{form}"
    WRITERS[form](FRAME, path)
    frames = list(open_source([path], DataSection()).frames(["t", "a", "l"], rows))
    assert [len(frame) for frame in frames[:-1]] == [rows] * (len(frames) - 1)
    assert pl.concat(frames).equals(FRAME.select("t", "a", "l"))


@pytest.mark.parametrize("rows", [1, 2, 100])
def test_csv_columns_are_text_and_empty_fields_null(tmp_path: Path, rows: int) -> None:
    path = tmp_path / "f.csv"
    path.write_bytes(b'a,t\r\n1,x\r\n,"say ""a,b"""\r\n3,"two\r\nlines"\r\n4,""')
    expected = {"a": ["1", None, "3", "4"], "t": ["x", 'say "a,b"', "two\r\nlines", None]}
    assert read(path, rows=rows).to_dict(as_series=False) == expected


def test_a_tsv_without_header_takes_its_names_from_the_config_and_quotes_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "f.txt"
    path.write_bytes(b'1\t"x\n\t5" disk\n')
    source = open_source([path], DataSection(header=False, columns=("a", "b")))
    frame = pl.concat(source.frames(["b", "a"]))
    assert frame.to_dict(as_series=False) == {"b": ['"x', '5" disk'], "a": ["1", None]}


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
        with pytest.raises(DataError, match="Expected 3 columns, got 2"):
            list(open_source([tmp_path / "f.csv"], LABELLED, optional=optional).frames(["b"]))


def test_separator_format_and_compression_follow_the_config_and_the_name(tmp_path: Path) -> None:
    path = tmp_path / "f.csv.gz"
    path.write_bytes(gzip.compress(b"a;b\n1;2\n"))
    assert read(path, separator=";").to_dict(as_series=False) == {"a": ["1"], "b": ["2"]}


@pytest.mark.parametrize("block", [1, 7, 64])
def test_blocks_end_at_lines_and_never_inside_quotes(
    tmp_path: Path, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(formats, "_BLOCK_BYTES", block)
    path = tmp_path / "f.csv"
    texts = [f'line {i}\nof "{i}"' if i % 3 else None for i in range(50)]
    pl.DataFrame({"i": range(50), "text": texts}).write_csv(path)
    frame = read(path, rows=8)
    assert frame["i"].to_list() == [str(i) for i in range(50)]
    assert frame["text"].to_list() == texts


def test_a_quote_inside_a_field_that_is_not_quoted_is_a_character(tmp_path: Path) -> None:
    path = tmp_path / "f.csv"
    lines = 20_000  # took 8 s when each line end was tried in turn
    path.write_text('i,title\n0,5" disk\n' + "".join(f"{i},disk\n" for i in range(1, lines)))
    frame = read(path)
    assert frame["title"].to_list() == ['5" disk'] + ["disk"] * (lines - 1)


@pytest.mark.parametrize("block", range(1, 40))
def test_quotes_of_both_kinds_do_not_move_line_ends(
    tmp_path: Path, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(formats, "_BLOCK_BYTES", block)
    path = tmp_path / "f.csv"
    path.write_text('i,t\n1,5" disk\n2,"two\n""lines"""\n3,x\n4,"a\nb"\n5,6"\n')
    assert read(path)["t"].to_list() == ['5" disk', 'two\n"lines"', "x", "a\nb", '6"']


def test_a_quote_that_is_never_closed_does_not_read_the_whole_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(formats, "_BLOCK_BYTES", 100)
    monkeypatch.setattr(formats, "_LONGEST_LINE", 1000)
    path = tmp_path / "f.csv"
    path.write_text('i,t\n1,"open\n' + "2,x\n" * 1000)
    with pytest.raises(DataError, match=r"f\.csv: a quote that begins a field is not closed within 1000 bytes"):
        read(path)


def test_a_large_record_batch_is_read_by_slices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "f.arrow"
    pl.DataFrame({"t": [f"text {i}" for i in range(1000)]}).write_ipc(path, record_batch_size=1000)
    converted: list[int] = []
    plain = formats._frame
    monkeypatch.setattr(formats, "_frame", lambda table: (converted.append(len(table)), plain(table))[1])
    assert [len(frame) for frame in open_source([path], DataSection()).frames(["t"], 300)] == [300, 300, 300, 100]
    assert max(converted) <= 300


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


CSV_PROBLEMS = {
    "too few fields": (b"a,b\n1,2\n3\n", r"row 2: Expected 2 columns, got 1: 3"),
    "too many fields": (b"a,b\n1,2\n1,2\n3,4,5", r"row 3: Expected 2 columns, got 3: 3,4,5"),
    "not UTF-8": (b"a,b\n1,2\n3,\xff\n", r"row 2: In CSV column #1.*UTF8"),
    "no header": (b"", "there is no header"),
    "header not UTF-8": (b"a\xff,b\n", "the header is not UTF-8 text"),
    "repeated name": (b"a,a\n", "column 'a' is named twice in the header; a file without a header needs data.header"),
}


@pytest.mark.parametrize("case", CSV_PROBLEMS)
def test_a_broken_csv_file_is_located(tmp_path: Path, case: str) -> None:
    content, message = CSV_PROBLEMS[case]
    path = tmp_path / "day.csv"
    path.write_bytes(content)
    with pytest.raises(DataError, match=f"day.csv: {message}"):
        read(path)


def test_rows_are_counted_over_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "_BLOCK_BYTES", 16)
    (tmp_path / "day.csv").write_text("a,b\n" + "1,2\n" * 50 + "3\n")
    with pytest.raises(DataError, match="row 51: Expected 2 columns"):
        read(tmp_path / "day.csv")


@pytest.mark.parametrize("form", ["parquet", "arrow"])
@pytest.mark.parametrize("keep", [0.0, 0.5, 0.99])
def test_a_truncated_file_is_named(tmp_path: Path, form: str, keep: float) -> None:
    path = tmp_path / f"day.{form}"
    WRITERS[form](FRAME, path)
    content = path.read_bytes()
    path.write_bytes(content[: int(keep * len(content))])
    with pytest.raises(DataError, match=f"day.{form}: cannot be read as {form}: "):
        read(path)


def test_damaged_pages_are_named(tmp_path: Path) -> None:
    path = tmp_path / "day.parquet"
    pl.DataFrame({"a": range(100_000)}).write_parquet(path)
    content = bytearray(path.read_bytes())
    content[100:60_000] = bytes(59_900)
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"day.parquet: cannot be read as parquet: "):
        read(path)


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
