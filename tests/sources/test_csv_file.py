from pathlib import Path

import polars as pl
import pytest

from recsys.config import DataSection
from recsys.errors import DataError
from recsys.sources import csv_file
from recsys.sources.source import open_source
from tests.sources.files import read


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


@pytest.mark.parametrize("block", [1, 7, 64])
def test_blocks_end_at_lines_and_never_inside_quotes(
    tmp_path: Path, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_file, "_BLOCK_BYTES", block)
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
    monkeypatch.setattr(csv_file, "_BLOCK_BYTES", block)
    path = tmp_path / "f.csv"
    path.write_text('i,t\n1,5" disk\n2,"two\n""lines"""\n3,x\n4,"a\nb"\n5,6"\n')
    assert read(path)["t"].to_list() == ['5" disk', 'two\n"lines"', "x", "a\nb", '6"']


def test_a_quote_that_is_never_closed_does_not_read_the_whole_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_file, "_BLOCK_BYTES", 100)
    monkeypatch.setattr(csv_file, "_LONGEST_LINE", 1000)
    path = tmp_path / "f.csv"
    path.write_text('i,t\n1,"open\n' + "2,x\n" * 1000)
    with pytest.raises(DataError, match=r"f\.csv: a quote that begins a field is not closed within 1000 bytes"):
        read(path)


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
    monkeypatch.setattr(csv_file, "_BLOCK_BYTES", 16)
    (tmp_path / "day.csv").write_text("a,b\n" + "1,2\n" * 50 + "3\n")
    with pytest.raises(DataError, match="row 51: Expected 2 columns"):
        read(tmp_path / "day.csv")
