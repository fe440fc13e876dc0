"""Facts about a column of a raw file, as far as the choice of a feature type needs them."""

import re
from dataclasses import dataclass
from typing import Literal

__all__ = ["ColumnProfile", "ValueKind"]

ValueKind = Literal["int", "float", "text", "bool", "time", "int list", "text list", "other"]

_CODE = re.compile(r"0\d+")  # no number is written with a leading zero
_SEPARATORS = "|^;, "


@dataclass(frozen=True, kw_only=True, slots=True)
class ColumnProfile:
    """One column of the rows that were looked at."""

    name: str
    dtype: str
    """Name of the type in polars; all columns of a csv file are "String"."""
    num_rows: int
    """Rows looked at."""
    num_nulls: int
    num_distinct: int
    """Distinct values that are not null; of a list column, distinct entries."""
    is_list: bool
    numeric: bool
    """Numbers, or text that is a number wherever it is not empty; of a list column, its entries."""
    minimum: float | None
    """Smallest finite value of a numeric column."""
    maximum: float | None
    """Largest finite value of a numeric column."""
    mean_length: float | None
    """Mean number of entries of a list column (a null list has none)."""
    p95_length: int | None
    """95 % of the rows have at most this many entries."""
    sample: tuple[str, ...]
    """The most frequent values, at most 5, as text."""

    @property
    def kind(self) -> ValueKind:
        """Kind of the values, whatever they are stored as: all columns of a csv file are text."""
        dtype = self.dtype.removeprefix("List(") if self.is_list else self.dtype
        is_text = dtype.startswith(("String", "Categorical", "Enum"))
        if dtype.startswith("Boolean"):
            return "other" if self.is_list else "bool"
        if dtype.startswith(("Date", "Datetime")):
            return "other" if self.is_list else "time"
        is_number = self.numeric and not (is_text and any(map(_CODE.fullmatch, self.sample)))
        is_int = "Int" in dtype.split("(")[0] or (is_text and is_number and self.is_whole)
        if self.is_list:
            return "int list" if is_int else "text list" if is_text else "other"
        if is_int:
            return "int"
        return "float" if is_number else "text" if is_text else "other"

    @property
    def is_whole(self) -> bool:
        """Whether the smallest, the largest and the most frequent values are whole numbers."""
        values = (self.minimum, self.maximum, *map(float, self.sample))
        return all(value is not None and value.is_integer() for value in values)

    @property
    def separator(self) -> str | None:
        """The character that splits most values of a text column into single words or numbers; None if none does."""
        if self.kind != "text":
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
        kind, separator = self.kind, self.separator
        if separator is not None:
            entries = [entry for text in self.sample for entry in text.split(separator)]
            return "int" if all(entry.isdigit() for entry in entries) else "text"
        return "int" if kind == "int list" else "text" if kind == "text list" else kind

    @property
    def list_length(self) -> int:
        """A `max_len` that cuts few rows."""
        return max(1, min(200, round(self.p95_length or 1)))
