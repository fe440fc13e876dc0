"""Text files with a separator, csv and tsv."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.csv

from recsys.errors import DataError
from recsys.sources.arrow_types import to_frame
from recsys.sources.csv_problems import CsvProblems
from recsys.sources.csv_quotes import QuotedText, QuoteError, Quotes
from recsys.sources.raw_file import RawFile, resized
from recsys.sources.text_stream import LONGEST_LINE, UTF8_MARK, iconv, lone_returns, whole_lines

__all__ = ["CsvFile"]

_BLOCK_BYTES = 2**24
_FIRST_BYTES = 2**16
_UNCLOSED = "a quote that begins a field is not closed"
_NO_BOUNDS = np.zeros(0, np.int64)
_STAND_IN = "\x1f"
"""Separator that replaces one of several bytes; the ASCII character for just that."""


class _Block(NamedTuple):
    text: bytes
    """Whole lines."""
    bounds: np.ndarray
    """Where quoted text begins and ends, in turn."""


class CsvFile(RawFile):
    """Text with a separator, optionally compressed. Every column is read as text; an empty field is null.

    Read in blocks that are cut at line ends (outside quotes), so that no block is larger than its lines need. What
    could be read in two ways is refused: a row of another width, a quote that is not closed, a carriage return alone.

    Args:
        path: the file.
        separator: one character or several.
        quoted: whether a field may stand in quotes.
        names: names of the columns; None if the first line has them.
        optional: columns that the file may lack, all of them at once.
        null_values: texts that are read as null, besides the empty one.
    """

    def __init__(
        self,
        path: Path,
        *,
        separator: str,
        quoted: bool,
        names: Sequence[str] | None,
        optional: Sequence[str] = (),
        null_values: Sequence[str] = (),
    ) -> None:
        super().__init__(path, null_values)
        self.separator = separator
        self.has_header = names is None
        self._byte = separator if len(separator.encode()) == 1 else _STAND_IN
        self._quotes = Quotes(self._byte) if quoted else None
        self.names = self._header() if names is None else self._present(names, optional)
        self._hold(dict.fromkeys(filter(None, self.names), pl.String()))

    def num_rows(self) -> int | None:
        """Return None: only reading the file would tell."""
        return None

    def first_fields(self) -> list[str]:
        """Return the fields of the first line.

        Raises:
            DataError: it cannot be read.
        """
        line = self._first_line()
        self._check(_Block(line, self._find(line).bounds), self._problems(()), -1 if self.has_header else 0)
        line = line.rstrip(b"\r\n")
        fields = line.split(self._byte.encode()) if self._quotes is None else self._quotes.fields(line)
        try:
            return [field.decode().replace(self._byte, self.separator) for field in fields]
        except UnicodeDecodeError as error:
            called = "header" if self.has_header else "first line"
            problem = f"the {called} is not UTF-8 text ({error}); {iconv(self.path, line)}"
            raise DataError(f"{self.path}: {problem}") from error

    def _first_line(self) -> bytes:
        """Return the first line that is not empty, whatever follows it."""
        try:
            text = next(self._blocks(_FIRST_BYTES), _Block(b"", _NO_BOUNDS)).text.lstrip(b"\r\n")
        except QuoteError as bad:
            text = bad.text[: bad.position].lstrip(b"\r\n")
            if not self._line_end(text):
                raise self._problems(()).bad_quote(bad, -1 if self.has_header else 0) from bad
        return text[: self._line_end(text) or len(text)]

    def _line_end(self, text: bytes) -> int:
        """Return where the first line ends, its line end included; 0 if it does not."""
        return (text if self._quotes is None else self._quotes.flat(text)).find(b"\n") + 1

    def _read(self, columns: Sequence[str], rows: int) -> Iterator[pl.DataFrame]:
        return resized(self._parsed(columns), rows)

    def _parsed(self, columns: Sequence[str]) -> Iterator[pl.DataFrame]:
        problems, num_rows = self._problems(self.names), -1 if self.has_header else 0
        try:
            for block in self._blocks(_BLOCK_BYTES):
                self._check(block, problems, num_rows)
                rows = _without_first_line(block) if num_rows < 0 else block
                num_rows = max(num_rows, 0)
                if len(self.names) == 1 and rows.text:
                    problems.check_empty_lines(rows.text, num_rows)
                if rows.text.strip(b"\r\n"):
                    table = self._parse(rows, columns, problems, num_rows)
                    num_rows += len(table)
                    yield table
        except QuoteError as bad:
            raise problems.bad_quote(bad, num_rows) from bad

    def _header(self) -> list[str]:
        names = [name if name.strip() else "" for name in self.first_fields()]
        repeated = [name for name in filter(None, names) if names.count(name) > 1]
        if repeated:
            remedy = "a file without a header needs data.header: false (recsys init: --no-header)"
            raise DataError(f"{self.path}: column {repeated[0]!r} is named twice in the header; {remedy}")
        if not any(names):
            raise DataError(f"{self.path}: there is no header")
        return names

    def _present(self, names: Sequence[str], optional: Sequence[str]) -> list[str]:
        """Leave out the optional names if the file has just so many fewer columns."""
        needed = [name for name in names if name not in optional]
        return needed if optional and len(self.first_fields()) == len(needed) else list(names)

    def _problems(self, names: Sequence[str]) -> CsvProblems:
        return CsvProblems(
            self.path,
            separator=self._byte,
            written=self.separator,
            quotes=self._quotes,
            names=names,
            has_header=self.has_header,
        )

    def _blocks(self, block_bytes: int) -> Iterator[_Block]:
        """Yield blocks of whole lines, cut outside quotes."""
        rest, unclosed, is_header = b"", 0, self.has_header
        for lines in whole_lines(self.path, block_bytes):
            text = rest + self._with_stand_in(lines.lstrip(b"\r\n") if is_header else lines)
            is_header = is_header and not text
            found = self._find(text)
            if found.end:
                yield _Block(text[: found.end], found.bounds)
            rest, unclosed = text[found.end :], found.opening - found.end
            if len(rest) > LONGEST_LINE:
                raise QuoteError(
                    rest, unclosed, f"a quote that begins a field is not closed within {LONGEST_LINE} bytes"
                )
        if rest:
            raise QuoteError(rest, unclosed, "a quote that begins a field is not closed")

    def _find(self, text: bytes) -> QuotedText:
        return QuotedText(len(text), _NO_BOUNDS) if self._quotes is None else self._quotes.find(text)

    def _with_stand_in(self, lines: bytes) -> bytes:
        """Put one byte for a separator of several."""
        if self._byte == self.separator:
            return lines
        stand_in = self._byte.encode()
        if stand_in in lines:
            raise DataError(f"{self.path}: the text holds {stand_in!r}: give a separator of one character")
        return lines.replace(self.separator.encode(), stand_in)

    def _check(self, block: _Block, problems: CsvProblems, num_rows: int) -> None:
        """Refuse bytes that the parser takes for something else than the writer."""
        if b"\0" in block.text:
            raise problems.null_byte(block.text, num_rows)
        returns = lone_returns(block.text)
        outside = returns[np.searchsorted(block.bounds, returns) % 2 == 0]
        if len(outside):
            raise problems.lone_return(block.text, int(outside[0]), num_rows)

    def _parse(self, block: _Block, columns: Sequence[str], problems: CsvProblems, num_rows: int) -> pl.DataFrame:
        try:
            table = self._table(block, columns)
        except pa.ArrowInvalid as error:
            raise problems.unreadable(block.text, columns, num_rows, str(error)) from error
        is_quoted = len(block.bounds) > 0
        if is_quoted and self._quotes is not None and len(table) < block.text.count(b"\n"):
            self._quotes.check_lines(block.text, block.bounds, len(self.names))
        frame = to_frame(table.rename_columns(list(columns)))
        if is_quoted and self._byte != self.separator:
            frame = frame.with_columns(pl.all().str.replace_all(self._byte, self.separator, literal=True))
        return frame

    def _table(self, block: _Block, columns: Sequence[str]) -> Any:
        try:
            return self._parsed_table(block, columns, use_threads=True)
        except pa.ArrowInvalid:  # perhaps a line that is longer than the parser's own blocks
            return self._parsed_table(block, columns, use_threads=False)

    def _parsed_table(self, block: _Block, columns: Sequence[str], *, use_threads: bool) -> Any:
        is_quoted = len(block.bounds) > 0
        keys = [str(i) for i in range(len(self.names))]  # names may be empty
        text = block.text
        if text.startswith(UTF8_MARK):  # of a value: the parser takes one away
            text = UTF8_MARK + text
        return pyarrow.csv.read_csv(
            pa.py_buffer(text),
            read_options=pyarrow.csv.ReadOptions(
                column_names=keys,
                use_threads=use_threads,
                block_size=2**20 if use_threads else len(text) + 1,
            ),
            parse_options=pyarrow.csv.ParseOptions(
                delimiter=self._byte,
                quote_char='"' if is_quoted else False,
                newlines_in_values=is_quoted,
            ),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types=dict.fromkeys(keys, pa.string()),
                include_columns=[str(self.names.index(column)) for column in columns],
                null_values=["", *self._null_values],
                strings_can_be_null=True,
            ),
        )


def _without_first_line(block: _Block) -> _Block:
    text, end = block.text, 0
    while (end := text.find(b"\n", end) + 1) and np.searchsorted(block.bounds, end) % 2:
        pass
    end = end or len(text)
    return _Block(text[end:], block.bounds[block.bounds >= end] - end)
