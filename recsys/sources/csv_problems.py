"""Problems of csv text, each with row, column, value and remedy."""

import codecs
import shlex
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from recsys.errors import DataError
from recsys.sources.csv_quotes import QuoteError, Quotes
from recsys.sources.location import separator_hint
from recsys.sources.text_stream import RETURNS, iconv

__all__ = ["CsvProblems"]

_SHOWN = 60
_NAMES = 8


class _Line(NamedTuple):
    row: int
    """Rows of the text before it."""
    text: bytes
    fields: list[bytes]
    is_cut: bool
    """Whether the file ends with it, without a line end."""


class CsvProblems:
    """Say where in a file a problem is, and what would mend it.

    A text is one or more whole lines of the file, and `rows_before` counts the rows before it: -1 if it begins with the
    header.

    Args:
        path: the file.
        separator: the character of one byte between two fields.
        written: the separator as the user wrote it.
        quotes: rules of quotes; None if quotes are characters.
        names: names of the columns, empty for a column without one.
        has_header: whether the file names them.
    """

    def __init__(
        self, path: Path, *, separator: str, written: str, quotes: Quotes | None, names: Sequence[str], has_header: bool
    ) -> None:
        self.path = path
        self.separator = separator.encode()
        self.written = written
        self.quotes = quotes
        self.names = names
        self.has_header = has_header

    def bad_quote(self, bad: QuoteError, rows_before: int) -> DataError:
        """Return the error of a quote that may mean two things."""
        remedy = "a quote within a field in quotes is written twice; where quotes are plain characters, "
        remedy += f'set data.format: tsv and data.separator: "{self.written}" (recsys init: --format, --separator)'
        problem = f"{bad.problem}, {_shown(bad.text[bad.position :])}"
        return self._at(bad.text, bad.position, problem, rows_before, remedy)

    def lone_return(self, text: bytes, position: int, rows_before: int) -> DataError:
        """Return the error of a carriage return that no line feed follows."""
        if b"\n" not in text:
            new = self.path.with_name(f"{self.path.stem}.lf{self.path.suffix}")
            return DataError(f"{self.path}: {RETURNS} < {shlex.quote(str(self.path))} > {shlex.quote(str(new))}")
        line = text[text.rfind(b"\n", 0, position) + 1 :].split(b"\n", 1)[0]
        problem = f"a carriage return (CR) without a line feed, in {_shown(line)}"
        return self._at(text, position, problem, rows_before, "remove it, or put the field in quotes in a csv file")

    def null_byte(self, text: bytes, rows_before: int) -> DataError:
        """Return the error of a byte that no text holds."""
        remedy = f"the file is damaged, or not UTF-8: {iconv(self.path, text[:_SHOWN])}"
        return self._at(text, text.index(b"\0"), "a byte that is 0", rows_before, remedy)

    def check_empty_lines(self, text: bytes, rows_before: int) -> None:
        """Raise DataError for an empty line, which in a file with one column is a null or no row at all."""
        lines = [line.rstrip(b"\r") for line in self._flat(text).removesuffix(b"\n").split(b"\n")]
        if b"" in lines:
            row = rows_before + lines.index(b"") + 1
            problem = 'an empty line in a file with one column is a null or no row; write "" for a null, or delete it'
            raise DataError(f"{self.path}: row {row}: {problem}")

    def unreadable(self, text: bytes, columns: Collection[str], rows_before: int, message: str) -> DataError:
        """Return the error of rows that the parser refused.

        Args:
            text: whole lines.
            columns: those that are read.
            rows_before: see above.
            message: what the parser said, for what is not found here.
        """
        wanted = [i for i, name in enumerate(self.names) if name in columns]
        for line in self._lines(text):
            if len(line.fields) != len(self.names):
                return self._wrong_width(line, rows_before)
            bad = next((i for i in wanted if not _is_utf8(line.fields[i])), None)
            if bad is not None:
                problem = f"column {self.names[bad]}: expected UTF-8 text, got {_shown(line.fields[bad])}"
                remedy = iconv(self.path, line.fields[bad])
                return DataError(f"{self.path}: {problem} (row {rows_before + line.row + 1}); {remedy}")
        return DataError(f"{self.path}: cannot be read as text: {message}")

    def _wrong_width(self, line: _Line, rows_before: int) -> DataError:
        names = ", ".join(self.names[:_NAMES]) + (", ..." if len(self.names) > _NAMES else "")
        problem = f"expected {len(self.names)} fields ({names}), got {len(line.fields)}: {_shown(line.text)}"
        return DataError(f"{self.path}: row {rows_before + line.row + 1}: {problem}{self._width_remedy(line)}")

    def _width_remedy(self, line: _Line) -> str:
        more, named = len(line.fields) - len(self.names), "the header" if self.has_header else "data.columns"
        alone = self.names if len(self.names) == 1 else [_text(line.text)] if len(line.fields) == 1 else ()
        if hint := separator_hint(alone):
            return hint
        if more == 1 and not line.fields[-1].strip():
            return f"; the row ends with a separator, {named} does not: name the last column there"
        if more == -1 and not self.names[-1]:
            return "; the header ends with a separator, the row does not"
        if more < 0 and line.is_cut:
            return "; the file ends within this row"
        if more > 0 and self.quotes is None and b'"' in line.text:
            return "; fields in quotes need data.format: csv"
        return "; a field that holds the separator stands in quotes" if more > 0 and self.quotes else ""

    def _at(self, text: bytes, position: int, problem: str, rows_before: int, remedy: str) -> DataError:
        *lines, last = self._flat(text[:position]).split(b"\n")
        row = rows_before + sum(1 for line in lines if line.rstrip(b"\r")) + 1
        if row < 1:
            return DataError(f"{self.path}: header: {problem}; {remedy}")
        index = last.count(self.separator)
        name = self.names[index] if index < len(self.names) else ""
        return DataError(f"{self.path}: column {name or index + 1}: {problem} (row {row}); {remedy}")

    def _lines(self, text: bytes) -> Iterator[_Line]:
        row = end = 0
        for line in self._flat(text).split(b"\n"):
            start, end = end, end + len(line) + 1
            if line := line.rstrip(b"\r"):
                fields, at = [], start
                for field in line.split(self.separator):
                    fields.append(text[at : at + len(field)])
                    at += len(field) + 1
                yield _Line(row, text[start : start + len(line)], fields, is_cut=end > len(text))
                row += 1

    def _flat(self, text: bytes) -> bytes:
        return text if self.quotes is None else self.quotes.flat(text)


def _is_utf8(field: bytes) -> bool:
    try:
        field.decode()
    except UnicodeDecodeError:
        return False
    return True


def _text(line: bytes) -> str:
    return line.decode(errors="replace")


def _shown(text: bytes) -> str:
    """Return the beginning of a text as Python writes it, as bytes where it is not UTF-8."""
    start = text[:_SHOWN]
    more = " ..." if len(text) > _SHOWN else ""
    try:
        return repr(codecs.getincrementaldecoder("utf-8")().decode(start, final=not more)) + more
    except UnicodeDecodeError:
        return repr(start) + more
