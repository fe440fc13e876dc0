"""Facts about a column of a raw file, as far as the choice of a feature type needs them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from recsys.sources.column_types import ColumnType

__all__ = ["ColumnProfile", "ValueKind"]

ValueKind = Literal["int", "float", "text", "bool", "time", "int list", "text list", "other"]

_CODE = re.compile(r"0\d+")  # no number is written with a leading zero
_SEPARATORS = "|^;, "


@dataclass(frozen=True, kw_only=True, slots=True)
class ColumnProfile:
    """One column of the rows that were looked at."""

    name: str
    type: ColumnType
    """Physical type; all columns of a csv file are text."""
    num_rows: int
    """Rows looked at."""
    num_nulls: int
    num_distinct: int
    """Distinct values that are not null; of a list column, distinct entries."""
    numeric: bool
    """Numbers, or text that is a number wherever it is not empty; of a list column, its entries."""
    is_whole: bool
    """Whether all numbers of a numeric column are whole."""
    minimum: float | None
    """Smallest finite value of a numeric column."""
    maximum: float | None
    """Largest finite value of a numeric column."""
    mean_length: float | None
    """Mean number of entries of a row, if rows are lists (a null list has none)."""
    p95_length: int | None
    """95 % of the rows have at most this many entries."""
    sample: tuple[str, ...]
    """The most frequent values, at most 5, as text."""
    holds_integers: bool = False
    """Whether the entries of all texts that a separator splits are digits."""
    has_decimal_commas: bool = False
    """Whether the texts are numbers, but for a comma where a point should be."""
    refused: Mapping[str, str] = field(default_factory=dict)
    """Feature type -> the problem that the values seen have with what the type offers to read them as."""

    @property
    def dtype(self) -> str:
        """Name of the type in polars."""
        return str(self.type.dtype)

    @property
    def is_list(self) -> bool:
        """Whether a row has any number of values: lists, also such that are written as text, as [3, 7] is."""
        return self.type.is_list or self.mean_length is not None

    @property
    def kind(self) -> ValueKind:
        """Kind of the values, whatever they are stored as: all columns of a csv file are text."""
        match self.type.family:
            case "integer":
                kind: ValueKind = "int"
            case "text":
                kind = "text" if not self.numeric or self._holds_codes else "int" if self.is_whole else "float"
            case "decimal":
                kind = "int" if getattr(self.type.dtype, "scale", 0) == 0 else "float"
            case "float":
                kind = "float"
            case "boolean":
                kind = "bool"
            case "time":
                kind = "time"
            case _:
                return "other"
        return self._list_of(kind) if self.is_list else kind

    def _list_of(self, kind: ValueKind) -> ValueKind:
        if kind in ("int", "bool") or (kind == "float" and self.is_whole):
            return "int list"
        is_text = kind == "text" or (self.type.family == "text" and self.type.is_list)
        return "text list" if is_text else "other"

    @property
    def _holds_codes(self) -> bool:
        return any(map(_CODE.fullmatch, self.sample))

    @property
    def separator(self) -> str | None:
        """The character that splits most values of a text column into single words or numbers; None if none does."""
        if self.kind != "text" or self.has_decimal_commas:
            return None
        for separator in _SEPARATORS:
            split = [text for text in self.sample if separator in text]
            is_plain = all(part and " " not in part for text in split for part in text.split(separator))
            if separator in ", " and not all(part.isdigit() for text in split for part in text.split(separator)):
                continue
            if split and 2 * len(split) >= len(self.sample) and (is_plain or separator == "|"):
                return separator
        return None

    @property
    def entry_kind(self) -> ValueKind:
        """Kind of the single values, which are the entries of a list or of a text that holds several."""
        kind = self.kind
        if self.separator is not None:
            return "int" if self.holds_integers else "text"
        return "int" if kind == "int list" else "text" if kind == "text list" else kind

    @property
    def list_length(self) -> int:
        """A `max_len` that cuts few rows."""
        return max(1, min(200, round(self.p95_length or 1)))
