import bz2
import gzip
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest

from recsys.config import DataSection
from recsys.errors import DataError
from recsys.sources import csv_file
from recsys.sources.source import open_source
from tests.sources.csv_reference import RefusedError, odd_text, read_rows
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


@pytest.mark.parametrize("block", [1, 12, 100])
def test_a_byte_order_mark_within_the_file_belongs_to_its_value(
    tmp_path: Path, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_file, "_BLOCK_BYTES", block)
    path = tmp_path / "f.csv"
    path.write_text("\ufefft,i\n\ufeffx,1\n\ufeffx,2\nx,3\n" + '"\ufeffx",4\n')
    assert read(path)["t"].to_list() == ["\ufeffx", "\ufeffx", "x", "\ufeffx"]


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
    monkeypatch.setattr(csv_file, "LONGEST_LINE", 1000)
    path = tmp_path / "f.csv"
    path.write_text('i,t\n1,"open\n' + "2,x\n" * 1000)
    with pytest.raises(
        DataError, match=r"f\.csv: column t: a quote that begins a field is not closed within 1000 bytes, .*\(row 1\)"
    ):
        read(path)


@pytest.mark.parametrize("seed", range(8))
def test_odd_text_is_read_as_a_reader_of_another_kind_reads_it_or_refused(
    tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng, path = random.Random(seed), tmp_path / "f.csv"
    for _ in range(40):
        separator, quoted, width = rng.choice(",;\t|") * rng.choice([1, 1, 2]), rng.random() < 0.8, rng.randint(1, 4)
        text = odd_text(rng, separator, width)
        path.write_bytes(text.encode())
        monkeypatch.setattr(csv_file, "_BLOCK_BYTES", rng.choice([1, 3, 7, 30, 2**24]))
        data = {
            "format": "csv" if quoted else "tsv",
            "separator": separator,
            "header": False,
            "columns": tuple("abcd"[:width]),
        }
        assert outcome(path, data) == expected(text, separator, quoted, width), (text, data)


def outcome(path: Path, data: dict[str, Any]) -> list[tuple[str | None, ...]] | None:
    try:
        source = open_source([path], DataSection(**data))
        return [row for frame in source.frames(data["columns"], rows=5) for row in frame.rows()]
    except DataError as error:
        return None if "cannot be read" not in str(error) else [(str(error),)]


def expected(text: str, separator: str, quoted: bool, width: int) -> list[tuple[str | None, ...]] | None:
    try:
        return list(map(tuple, read_rows(text, separator=separator, quoted=quoted, width=width)))
    except RefusedError:
        return None


ROWS = "".join(f"{i},tv,{i % 2}\n" for i in range(20))
OPEN, AFTER, HELD = (
    "a quote that begins a field is not closed",
    "text follows the quote that",
    "a field in quotes holds",
)
SWALLOWING = {
    "one is open, last in its row": ('u,y,q\n1,0,tv\n2,0,"5 inch\n' + "3,1,tv\n" * 9, f"column q: {OPEN}", 2),
    "one is open, in the middle": ('u,q,y\n1,tv,0\n2,"5 inch,1\n' + ROWS, f"column q: {OPEN}", 2),
    "two are open": ('u,y,q\n1,0,"5 inch\n2,0,tv\n3,1,"6 inch\n', f"column q: {AFTER}", 1),
    "text after a quote": ('u,q,y\n1,"5" disk,0\n', f"column q: {AFTER}", 1),
    "two quotes alone, last": ('u,y,q\n1,0,"\n2,0,tv\n3,1,"\n' + "4,1,tv\n" * 3, f"column q: {HELD} 2", 1),
    "two quotes alone, middle": ("u,q,y\n" + ROWS + '3,",1\n4,",1\n' + ROWS, f"column q: {HELD} 1", 21),
    "a doubled quote ends the file": ('u,q\n1,"a""', f"column q: {OPEN}", 1),
    "doubled quotes within rows": ('u,q,y\n1,tv,0\n2,",1\n3,""tv"",0\n4,",1\n' + ROWS, f"column q: {HELD} 2", 2),
    "in the header": ('u,"q\n1,a\n', f"header: {OPEN}", None),
}


@pytest.mark.parametrize("case", SWALLOWING)
def test_a_quote_that_would_swallow_rows_is_located(tmp_path: Path, case: str) -> None:
    text, problem, row = SWALLOWING[case]
    path = tmp_path / "f.csv"
    path.write_text(text)
    with pytest.raises(DataError) as error:
        read(path)
    assert str(error.value).startswith(f"{path}: {problem}")
    assert (f" (row {row}); " in str(error.value)) == (row is not None)
    assert 'where quotes are plain characters, set data.format: tsv and data.separator: ","' in str(error.value)


def test_and_its_remedy_reads_the_rows(tmp_path: Path) -> None:
    path = tmp_path / "f.csv"
    path.write_text('u,y,q\n1,0,"5 inch\n2,0,tv\n3,1,"6 inch\n')
    assert read(path, format="tsv", separator=",")["q"].to_list() == ['"5 inch', "tv", '"6 inch']


def test_texts_of_several_lines_with_the_separators_of_rows_are_texts(tmp_path: Path) -> None:
    path = tmp_path / "f.csv"
    texts = ["good,\ncheap, light", "a, b\nc, d\ne", "\n1,2"]
    frame = pl.DataFrame({"u": [1, 2, 3], "y": [0, 1, 0], "q": texts})
    frame.write_csv(path)
    assert read(path)["q"].to_list() == texts


def test_columns_without_a_name_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "f.csv"
    path.write_text(",user, ,click,\n0,10,x,1,\n1,11,y,0,\n")
    assert read(path).to_dict(as_series=False) == {"user": ["10", "11"], "click": ["1", "0"]}


def test_a_header_may_be_long_hold_line_ends_and_follow_empty_lines(tmp_path: Path) -> None:
    path = tmp_path / "f.csv"
    long = "x" * 200_000
    path.write_text(f'\n\r\n"us\ner","a,""b""",{long}\n1,2,3\n')
    assert read(path).to_dict(as_series=False) == {"us\ner": ["1"], 'a,"b"': ["2"], long: ["3"]}


@pytest.mark.parametrize(
    "packed", [gzip.compress, bz2.compress, lambda data: pa.compress(data, "zstd", asbytes=True), bytes]
)
@pytest.mark.parametrize("name", ["F.CSV", "f.csv.GZ", "f.Csv.zst", "f.csv.bz2"])
def test_the_content_tells_how_it_is_compressed(tmp_path: Path, name: str, packed: Callable[[bytes], bytes]) -> None:
    path = tmp_path / name
    path.write_bytes(packed("\ufeffa,b\n1,2\n".encode()))
    assert read(path).to_dict(as_series=False) == {"a": ["1"], "b": ["2"]}


def test_a_mark_of_byte_order_is_no_part_of_a_value(tmp_path: Path) -> None:
    path = tmp_path / "f.csv"
    path.write_bytes("\ufeff1,2\n".encode())
    source = open_source([path], DataSection(header=False, columns=("a", "b")))
    assert pl.concat(source.frames(["a", "b"])).rows() == [("1", "2")]


def test_rows_of_nulls_alone_are_rows_in_a_block_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_file, "_BLOCK_BYTES", 4)
    path = tmp_path / "f.tsv"
    path.write_text("a\tb\n1\t2\n\t\n\t\n")
    assert read(path).rows() == [("1", "2"), (None, None), (None, None)]


def test_a_line_longer_than_the_blocks_of_the_parser_is_read(tmp_path: Path) -> None:
    path = tmp_path / "f.csv"
    long = "x" * 3_000_000
    path.write_text(f'a,b\n1,{long}\n2,"{long}\n"\n')
    assert read(path)["b"].to_list() == [long, f"{long}\n"]


def test_null_values_are_null_in_quotes_too(tmp_path: Path) -> None:
    path = tmp_path / "f.csv"
    path.write_text('a,b\nNA,\\N\n"NA",x\nnull,NAN\n')
    assert read(path, null_values=("NA", "\\N")).rows() == [(None, None), (None, "x"), ("null", "NAN")]


CSV_PROBLEMS = {
    "too few fields": (b"a,b\n1,2\n3\n", r"row 2: expected 2 fields \(a, b\), got 1: '3'$"),
    "too many fields": (
        b"a,b\n1,2\n1,2\n3,4,5",
        r"row 3: expected 2 fields \(a, b\), got 3: '3,4,5'; a field that holds",
    ),
    "a row is cut": (b"a,b\n1,2\n3", "row 2: .*; the file ends within this row"),
    "separators end the rows": (
        b"a,b\n1,2,\n3,4,\n",
        "row 1: .*; the row ends with a separator, the header does not: name",
    ),
    "a separator ends the header": (b"a,b,\n1,2\n", "row 1: .*; the header ends with a separator, the row does not"),
    "another separator": (
        b"a;b\n1;2,5\n",
        'row 1: expected 1 fields .*set data.separator: ";" .recsys init: --separator ";"',
    ),
    "blanks between rows": (b"a,b\n1,2\n  \n", "row 2: expected 2 fields"),
    "Latin-1": (
        b"a,b\n1,2\n3,caf\xe9\n",
        r"column b: expected UTF-8 text, got b'caf.xe9' \(row 2\); .*iconv -f latin1 -t utf-8 ",
    ),
    "GBK": (
        "a,b\n1,\u4e0a\u6d77\n".encode("gbk"),
        r"column b: expected UTF-8 text, got b'.*' \(row 1\); .*iconv -f gb18030 ",
    ),
    "UTF-16": ("a,b\n1,2\n".encode("utf-16"), "the file is UTF-16 text, expected UTF-8; .*iconv -f utf-16 -t utf-8 "),
    "UTF-16 without a mark": (
        "a,b\n1,2\n".encode("utf-16-le"),
        "header: a byte that is 0; .*iconv -f utf-16 -t utf-8 ",
    ),
    "zeros at the end": (b"a,b\n1,2\n" + bytes(9), r"column a: a byte that is 0 \(row 2\); the file is damaged"),
    "CR alone": (b"a,b\r1,2\r3,4\r", "lines end with CR alone; convert them, for example with tr '.r' '.n' < "),
    "CR alone, gzip": (gzip.compress(b"a,b\r1,2\r"), "lines end with CR alone"),
    "CR within a row": (
        b"a,b\n1,x\ry\n",
        r"column b: a carriage return \(CR\) without a line feed, in '1,x.ry' \(row 1\)",
    ),
    "CR after some rows": (b"a,b\n1,2\n3,4\r5,6\n", r"column b: a carriage return .*\(row 2\)"),
    "an empty line, one column": (b"a\n1\n\n2\n", "row 2: an empty line in a file with one column"),
    "an empty line at the end, one column": (b"a\n1\n\n", "row 2: an empty line in a file with one column"),
    "cut gzip": (gzip.compress(b"a,b\n1,2\n")[:-5], "cannot be read as text: Truncated compressed stream"),
    "zip": (b"PK\x03\x04abc", "the file is a zip archive; unpack it"),
    "no header": (b"", "there is no header"),
    "no names": (b",\n1,2\n", "there is no header"),
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
    with pytest.raises(DataError, match="row 51: expected 2 fields"):
        read(tmp_path / "day.csv")
