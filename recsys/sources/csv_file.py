"""Text files with a separator, csv and tsv."""

import csv
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.csv

from recsys.errors import DataError
from recsys.sources.raw_file import readable, resized, to_frame

__all__ = ["CsvFile"]

_BLOCK_BYTES = 2**24
_LONGEST_LINE = 2**27


class CsvFile:
    """Text with a separator, optionally compressed. Every column is read as text; an empty field is null.

    Read in blocks that are cut at line ends (outside quotes), so that no block is larger than its lines need.

    Args:
        path: the file.
        separator: one character.
        quoted: whether a field may stand in quotes.
        names: names of the columns; None if the first line has them.
        optional: columns that the file may lack, all of them at once.
    """

    def __init__(
        self, path: Path, *, separator: str, quoted: bool, names: Sequence[str] | None, optional: Sequence[str] = ()
    ) -> None:
        self.path = path
        self.separator = separator
        self.quoted = quoted
        self._quoted_field = _quoted_field(separator)
        self._may_precede_quotes = np.zeros(256, np.bool_)
        self._may_precede_quotes[list(f'"\r\n{separator}'.encode())] = True
        self.has_header = names is None
        self.names = self._header() if names is None else self._present(names, optional)
        self.columns: dict[str, pl.DataType] = dict.fromkeys(self.names, pl.String())

    def num_rows(self) -> int | None:
        """Return None: only reading the file would tell."""
        return None

    def frames(self, columns: Sequence[str], rows: int) -> Iterator[pl.DataFrame]:
        """Yield frames of `rows` rows."""
        yield from resized(self._parsed(columns), rows)

    def _parsed(self, columns: Sequence[str]) -> Iterator[pl.DataFrame]:
        num_rows = 0
        for block in self._blocks():
            table = self._parse(block, columns, num_rows)
            num_rows += len(table)
            yield table

    def _header(self) -> list[str]:
        names = self._first_line("header")
        repeated = [name for name in names if names.count(name) > 1]
        if repeated:
            remedy = "a file without a header needs data.header: false (recsys init: --no-header)"
            raise DataError(f"{self.path}: column {repeated[0]!r} is named twice in the header; {remedy}")
        if not any(names):
            raise DataError(f"{self.path}: there is no header")
        return names

    def _present(self, names: Sequence[str], optional: Sequence[str]) -> list[str]:
        """Leave out the optional names if the file has just so many fewer columns."""
        needed = [name for name in names if name not in optional]
        return needed if optional and len(self._first_line("first line")) == len(needed) else list(names)

    def _first_line(self, called: str) -> list[str]:
        first = next(self._lines_of_file(), b"").split(b"\n", 1)[0]
        try:
            text = first.decode("utf-8-sig").rstrip("\r")
        except UnicodeDecodeError as error:
            raise DataError(f"{self.path}: the {called} is not UTF-8 text ({error})") from error
        return next(csv.reader([text], delimiter=self.separator), []) if self.quoted else text.split(self.separator)

    def _blocks(self) -> Iterator[bytes]:
        """Yield whole lines, about 16 MB at a time, without the header."""
        skip = self.has_header
        for lines in self._lines_of_file():
            block = lines.split(b"\n", 1)[-1] if skip and b"\n" in lines else b"" if skip else lines
            skip = False
            if block.strip():
                yield block

    def _lines_of_file(self) -> Iterator[bytes]:
        with readable(self.path, "text"), pa.input_stream(str(self.path), compression="detect") as stream:
            rest = b""
            while data := stream.read(_BLOCK_BYTES):
                data = rest + data
                cut = self._last_line_end(data)
                rest = data[cut:]
                if len(rest) > _LONGEST_LINE:
                    problem = "a quote that begins a field is not closed" if self.quoted else "a line does not end"
                    raise DataError(f"{self.path}: {problem} within {_LONGEST_LINE} bytes, from {rest[:60]!r}")
                if cut:
                    yield data[:cut]
            if rest:
                yield rest

    def _last_line_end(self, data: bytes) -> int:
        """Return where the last whole line of `data`, which begins with a line, ends; 0 if none does."""
        cut = data.rfind(b"\n") + 1
        if not self.quoted or self._ends_outside_quotes(data, cut):
            return cut
        for field in reversed([match.span() for match in self._quoted_field.finditer(data)]):
            if field[1] < cut:
                break
            cut = data.rfind(b"\n", 0, field[0]) + 1
        return cut

    def _ends_outside_quotes(self, data: bytes, cut: int) -> bool:
        """Say whether `data[:cut]` surely ends outside quotes; no if quotes stand in unquoted fields, as in 5" disk."""
        text = np.frombuffer(data, np.uint8)[:cut]
        quotes = np.flatnonzero(text == ord('"'))
        before = text[quotes[::2] - 1]  # before the first character: the line end that is the last
        return len(quotes) % 2 == 0 and bool(self._may_precede_quotes[before].all())

    def _parse(self, block: bytes, columns: Sequence[str], rows_before: int) -> pl.DataFrame:
        try:
            return to_frame(self._read(block, columns, use_threads=True))
        except pa.ArrowInvalid:
            pass
        try:  # again, in the one way that counts rows
            return to_frame(self._read(block, columns, use_threads=False))
        except pa.ArrowInvalid as error:
            raise DataError(f"{self.path}: {_located(str(error), rows_before)}") from error

    def _read(self, block: bytes, columns: Sequence[str], *, use_threads: bool) -> Any:
        return pyarrow.csv.read_csv(
            pa.py_buffer(block),
            read_options=pyarrow.csv.ReadOptions(
                column_names=self.names,
                use_threads=use_threads,
                block_size=len(block) + 1 if not use_threads else 2**20,
            ),
            parse_options=pyarrow.csv.ParseOptions(
                delimiter=self.separator,
                quote_char='"' if self.quoted else False,
                newlines_in_values=self.quoted,
            ),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types=dict.fromkeys(self.names, pa.string()),
                include_columns=list(columns),
                null_values=[""],
                strings_can_be_null=True,
            ),
        )


def _quoted_field(separator: str) -> re.Pattern[bytes]:
    """Match a field that begins with a quote, up to the quote that closes it or the end of the text.

    >>> _quoted_field(",").findall(b'"a""b,",c"d,"e')
    [b'"a""b,"', b'"e']
    """
    before = rb"[%s\n\r]" % re.escape(separator.encode())
    return re.compile(rb'"(?:(?<=%s")|(?<=\A"))[^"]*(?:""[^"]*)*(?:"|\Z)' % before)


def _located(message: str, rows_before: int) -> str:
    """Count the row of a parser's message from the start of the file.

    >>> _located("CSV parse error: Row #2: Expected 3 columns, got 2: a,b", 100)
    'row 102: Expected 3 columns, got 2: a,b'
    """
    before, found, rest = message.partition("Row #")
    if not found:
        return message
    row, _, problem = rest.partition(": ")
    column = before if before.startswith("In CSV column") else ""
    return f"row {int(row) + rows_before}: {column}{problem}"
