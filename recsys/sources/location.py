"""Locations of columns and rows in raw files, for error messages."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from recsys.config.problems import did_you_mean
from recsys.errors import DataError

__all__ = ["RowLocation", "no_column", "separator_hint"]

_SEPARATORS = ("\t", "::", ";", "|", ",")


class RowLocation(NamedTuple):
    """Source of the rows of a frame, for messages."""

    source: str = ""
    """File name, or whatever the rows came in."""
    first_row: int = 0
    """Rows of the source before this frame; messages count from 1, without the header of a csv file."""
    other_types: Mapping[str, str] = MappingProxyType({})
    """Column -> words on its type in other files, which decides what its values must be here."""

    def column(self, column: str, problem: str, *, row: int | None = None) -> DataError:
        """Return the error of a whole column, or of its value in a row, counted from 1."""
        start = f"{self.source}: " if self.source else ""
        place = "" if row is None else f" (row {row})"
        message = f"{start}column {column}: {problem}{place}{self.other_types.get(column, '')}"
        return DataError(message, column=column, row=row)

    def value(self, column: str, problem: str, position: int) -> DataError:
        """Return the error of one value."""
        return self.column(column, problem, row=self.first_row + position + 1)


def no_column(source: str, column: str, columns: Sequence[str]) -> DataError:
    """Return the error of a missing column, with the nearest name there is."""
    start = f"{source}: " if source else ""
    hint = separator_hint(columns) or did_you_mean(column, columns) or f"; it has {', '.join(columns)}"
    return DataError(f"{start}no column {column!r}{hint}", column=column)


def separator_hint(columns: Sequence[str]) -> str:
    """Return what to do if the only column has the look of several, "" if it has not.

    >>> separator_hint(["user;item;click"])
    '; ";" seems to stand between the columns: set data.separator: ";" (recsys init: --separator ";")'
    """
    found = [separator for separator in _SEPARATORS if len(columns) == 1 and separator in columns[0]]
    if not found:
        return ""
    if found[0] == "\t":
        return "; a tab seems to stand between the columns: set data.format: tsv (recsys init: --format tsv)"
    quoted = f'"{found[0]}"'
    remedy = f"set data.separator: {quoted} (recsys init: --separator {quoted})"
    return f"; {quoted} seems to stand between the columns: {remedy}"
