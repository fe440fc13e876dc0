"""Quotes of csv text: where fields in quotes lie, and whether their quotes are what the writer meant.

A field that begins with a quote ends with one; a quote within it is written twice. A quote inside a field that does not
begin with one is a character. Everything else could be read in two ways, and is a `QuoteError`.
"""

import re
from typing import NamedTuple

import numpy as np

__all__ = ["QuoteError", "QuotedText", "Quotes"]

_QUOTE = ord('"')
_SEEN = 2**16


class QuoteError(Exception):
    """A quote whose meaning is unsure.

    Args:
        text: the text, which begins with a line.
        position: where the field begins.
        problem: what is wrong.
    """

    def __init__(self, text: bytes, position: int, problem: str) -> None:
        super().__init__(problem)
        self.text = text
        self.position = position
        self.problem = problem


class QuotedText(NamedTuple):
    """Fields in quotes of a text that begins with a line."""

    end: int
    """End of the last whole line; 0 if there is none."""
    bounds: np.ndarray
    """Begin and end of each quoted text in the whole lines, in turn."""
    opening: int = -1
    """Begin of a field whose end is not in the text; -1 if there is none."""


class Quotes:
    """Rules of quotes beside a separator.

    Args:
        separator: one ASCII character.
    """

    def __init__(self, separator: str) -> None:
        byte = re.escape(separator.encode())
        self._separator = ord(separator)
        self._field = re.compile(rb'"(?:(?<=[%s\n]")|(?<=\A"))[^"]*(?:""[^"]*)*(?P<end>"|\Z)' % byte)
        self._after = re.compile(rb"[%s\n]|\r\n|\r?\Z" % byte)
        self._may_precede = np.zeros(256, np.bool_)
        self._may_precede[list(f'"\n{separator}'.encode())] = True
        self._may_follow = np.zeros(256, np.bool_)
        self._may_follow[list(f'"\r\n{separator}'.encode())] = True

    def find(self, text: bytes) -> QuotedText:
        """Find the fields in quotes, and the last line end outside them.

        Args:
            text: begins with a line and ends with a line end, or with the file.

        Raises:
            QuoteError: a field in quotes is followed by text.
        """
        if b'"' not in text:
            return QuotedText(len(text), np.zeros(0, np.int64))
        data = np.frombuffer(text, np.uint8)
        bounds = np.flatnonzero(data == _QUOTE)
        if not self._is_regular(data, bounds):
            bounds = self._bounds(text)
        if len(bounds) % 2 == 0:
            return QuotedText(len(text), bounds)
        opening = int(_fields(data, bounds[::2])[-1])
        end = text.rfind(b"\n", 0, opening) + 1
        while (inside := np.searchsorted(bounds, end)) % 2:
            end = text.rfind(b"\n", 0, bounds[inside - 1]) + 1
        return QuotedText(end, bounds[: np.searchsorted(bounds, end)], opening)

    def flat(self, text: bytes) -> bytes:
        """Replace separators and line ends inside quotes by blanks; nothing moves."""
        blank = bytes.maketrans(bytes([self._separator]) + b"\r\n", b"   ")
        return self._field.sub(lambda match: match[0].translate(blank), text)

    def fields(self, line: bytes) -> list[bytes]:
        """Return what the fields of a line mean.

        >>> Quotes(",").fields(b'"a, ""b"" c",5" disk')
        [b'a, "b" c', b'5" disk']
        """
        ends = [i for i, byte in enumerate(self.flat(line)) if byte == self._separator] + [len(line)]
        fields = [line[start:end] for start, end in zip([0, *(end + 1 for end in ends)], ends, strict=False)]
        return [field[1:-1].replace(b'""', b'"') if field.startswith(b'"') else field for field in fields]

    def check_lines(self, text: bytes, bounds: np.ndarray, width: int) -> None:
        """Raise QuoteError if a field in quotes holds lines that are rows themselves.

        Two fields that are a single quote each would otherwise take all rows between them for one text.

        Args:
            text: whole lines.
            bounds: where quoted text begins and ends.
            width: number of fields of a row.
        """
        suspects = self._suspects(np.frombuffer(text, np.uint8), bounds, width)
        numbers = self._number_columns(text, width) if len(suspects) else []
        for start, end in suspects:
            lines = self._spanned(text, start, end).split(b"\n")
            if numbers and all(self._is_row(line, numbers, width) for line in lines):
                problem = f"a field in quotes holds {len(lines) - 1} line ends between what look like rows"
                raise QuoteError(text, int(start), problem)

    def _is_regular(self, data: np.ndarray, quotes: np.ndarray) -> bool:
        """Say whether each quote opens or closes a field, or is one of two that mean one."""
        before, closing = data[quotes[::2] - 1], quotes[1::2]
        starts_well = quotes[0] == 0 or bool(self._may_precede[before[0]])
        after = data[np.minimum(closing + 1, len(data) - 1)]
        return starts_well and bool(self._may_precede[before[1:]].all() and self._may_follow[after].all())

    def _bounds(self, text: bytes) -> np.ndarray:
        """Return the bounds of the fields in quotes where other quotes stand beside them; an open one has no end."""
        bounds: list[int] = []
        for match in self._field.finditer(text):
            start, end = match.span()
            bounds.append(start)
            if match["end"]:
                if not self._after.match(text, end):
                    raise QuoteError(text, start, "text follows the quote that closes a field")
                bounds.append(end - 1)
        return np.array(bounds, np.int64)

    def _suspects(self, data: np.ndarray, bounds: np.ndarray, width: int) -> np.ndarray:
        """Return start and end of the fields that hold just as many separators as rows would."""
        starts = _fields(data, bounds[::2])
        ends = bounds[np.append(np.searchsorted(bounds, starts[1:]), len(bounds)) - 1]
        lines = _count(data == ord("\n"), starts, ends)
        separators = _count(data == self._separator, starts, ends)
        suspects: np.ndarray = np.stack([starts, ends], axis=1)[(lines > 0) & (separators == lines * (width - 1))]
        return suspects

    def _spanned(self, text: bytes, start: int, end: int) -> bytes:
        """Return the lines of a field in quotes without its quotes, and without those of other fields."""
        first, last = text.rfind(b"\n", 0, start) + 1, text.find(b"\n", end)
        before, after = text[first:start], text[end + 1 : last if last >= 0 else len(text)]
        return self._field.sub(b"", before) + text[start + 1 : end] + self._field.sub(b"", after)

    def _number_columns(self, text: bytes, width: int) -> list[int]:
        """Return the columns that hold numbers in the first rows without quotes."""
        rows = [line.split(bytes([self._separator])) for line in text[:_SEEN].split(b"\n") if b'"' not in line]
        columns = list(zip(*(row for row in rows if len(row) == width), strict=True))
        return [i for i, column in enumerate(columns) if any(column) and all(map(_is_number, column))]

    def _is_row(self, line: bytes, numbers: list[int], width: int) -> bool:
        fields = line.split(bytes([self._separator]))
        return len(fields) == width and all(_is_number(fields[i]) for i in numbers)


def _fields(data: np.ndarray, opening: np.ndarray) -> np.ndarray:
    """Leave out the second of two quotes that mean one."""
    fields: np.ndarray = opening[(opening == 0) | (data[opening - 1] != _QUOTE)]
    return fields


def _count(found: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    positions = np.flatnonzero(found)
    return np.searchsorted(positions, ends) - np.searchsorted(positions, starts)


def _is_number(field: bytes) -> bool:
    """Say whether a field is a number or empty."""
    try:
        return not field.strip() or float(field) is not None
    except ValueError:
        return False
