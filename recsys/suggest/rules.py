"""What a single column looks like: an id, a number, a time, a list, or nothing a model should see."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import median
from typing import Literal

from recsys.suggest.profile import ColumnProfile

__all__ = ["Suggestion", "entry_kind", "entry_separator", "kind_of", "list_length", "suggest_column"]

Kind = Literal["int", "float", "text", "bool", "time", "int list", "text list", "other"]

_ID_NAME = re.compile(r"(^|_)(id|ids|code|zip|postcode|category|cate|cat|type|brand|shop|sku|uid|key)(_|$)|[a-z]I[dD]$")
_NUMBER_NAME = re.compile(
    r"(^|_)(n|num|count|cnt|price|cost|amount|age|qty|quantity|size|len|length|duration|score|rating|days|hours"
    r"|seconds|rank|rate|ratio|ctr|views|width|height|distance|I\d+)(_|$)"
)
_TIME_NAME = re.compile(r"(^|_)(time|timestamp|ts|date|datetime|day|dt|at|hour)(_|$)|[a-z](Time|Date)$")
_CODE = re.compile(r"0\d+")  # no number is written with a leading zero
_OUTCOME_NAME = re.compile(
    r"^(is_|has_)?(click|clicked|buy|bought|purchase|purchased|converted|conversion|label|target)$"
)

_UNIX_YEARS = (631_152_000, 4_102_444_800)  # 1990 to 2100, in seconds
_TEXT_FORMATS = (None, "%Y%m%d", "%d/%m/%Y", "%Y/%m/%d", "%Y/%m/%d %H:%M:%S", "%d.%m.%Y")
_NUMBER_FORMATS = ("%Y%m%d", "%Y%m%d%H", "%y%m%d%H")
_SEPARATORS = "|^;, "
_FEW_VALUES = 50
_MANY_VALUES = 50_000
_UNIQUE_SHARE = 0.9
_UNIQUE_ROWS = 100
_SURE_LEAK = 0.99


@dataclass(frozen=True, kw_only=True, slots=True)
class Suggestion:
    """A line of the features section, or the reason why there is none."""

    name: str
    """Of the feature; the column's, unless columns had no names."""
    column: ColumnProfile
    spec: Mapping[str, object]
    """Keys and values of the feature; {} when there is none to suggest."""
    note: str = ""
    """Why, where that is not plain."""
    left_out: bool = False


def kind_of(column: ColumnProfile) -> Kind:
    """Say what the values are, whatever they are stored as: all columns of a csv file are text."""
    dtype = column.dtype.removeprefix("List(") if column.is_list else column.dtype
    is_text = dtype.startswith(("String", "Categorical", "Enum"))
    if dtype.startswith("Boolean"):
        return "other" if column.is_list else "bool"
    if dtype.startswith(("Date", "Datetime")):
        return "other" if column.is_list else "time"
    is_number = column.numeric and not (is_text and any(map(_CODE.fullmatch, column.sample)))
    is_int = "Int" in dtype.split("(")[0] or (is_text and is_number and _is_whole(column))
    if column.is_list:
        return "int list" if is_int else "text list" if is_text else "other"
    if is_int:
        return "int"
    return "float" if is_number else "text" if is_text else "other"


def entry_kind(column: ColumnProfile) -> Kind:
    """Say what the single values are: of a list, or of a text that holds several, its entries."""
    kind, separator = kind_of(column), entry_separator(column)
    if separator is not None:
        entries = [entry for text in column.sample for entry in text.split(separator)]
        return "int" if all(entry.isdigit() for entry in entries) else "text"
    return "int" if kind == "int list" else "text" if kind == "text list" else kind


def _is_whole(column: ColumnProfile) -> bool:
    """Say whether the smallest, the largest and the most frequent values are whole numbers."""
    values = (column.minimum, column.maximum, *map(float, column.sample))
    return all(value is not None and value.is_integer() for value in values)


def suggest_column(column: ColumnProfile, *, leak: float | None = None) -> Suggestion:
    """Suggest a feature for one column, lists as ids (what they are a history of takes other columns to see).

    Args:
        column: what is known.
        leak: AUC of this column alone, if known.
    """
    reason = _reason_to_leave_out(column, leak)
    spec, note = _SPECS[kind_of(column)](column)
    if reason is not None:
        return Suggestion(name=column.name, column=column, spec=spec, note=reason, left_out=True)
    return Suggestion(name=column.name, column=column, spec=spec, note=note, left_out=not spec)


def _reason_to_leave_out(column: ColumnProfile, leak: float | None) -> str | None:
    filled = column.num_rows - column.num_nulls
    if filled == 0:
        return "no values"
    if column.num_distinct + (column.num_nulls > 0) <= 1 and not column.is_list:
        return "the same value in every row"
    if leak is not None and max(leak, 1 - leak) >= _SURE_LEAK:
        return f"alone it ranks the labels with AUC {max(leak, 1 - leak):.3f}: is it known before the click?"
    if column.num_distinct <= 2 and _OUTCOME_NAME.search(column.name):
        return "looks like an outcome: is it known before the click?"
    is_unique = filled >= _UNIQUE_ROWS and column.num_distinct >= _UNIQUE_SHARE * filled
    if is_unique and kind_of(column) in ("int", "text") and not _is_time(column) and entry_separator(column) is None:
        return "nearly every row has a value of its own, which says nothing about other rows"
    return None


def _of_int(column: ColumnProfile) -> tuple[dict[str, object], str]:
    time = _unix_time(column) or _written_time(column)
    if time is not None:
        return time
    if _ID_NAME.search(column.name):
        return _id(column), ""
    if column.minimum is None or column.maximum is None or column.num_distinct <= _FEW_VALUES:
        return _id(column), "few integers; perhaps a number"
    if _NUMBER_NAME.search(column.name):
        return _number(column), ""
    if column.minimum >= 0 and column.num_distinct >= 0.5 * (column.maximum - column.minimum + 1):
        return _id(column), "integers without gaps; perhaps a number"
    if column.minimum < 0 or _is_skewed(column):
        return _number(column), "integers with gaps; perhaps an id"
    return _id(column), "integers with gaps; perhaps a number"


def _of_float(column: ColumnProfile) -> tuple[dict[str, object], str]:
    if _is_whole(column) and _ID_NAME.search(column.name):
        return _id(column), "whole numbers stored as floats"
    return _number(column), ""


def _of_text(column: ColumnProfile) -> tuple[dict[str, object], str]:
    time = _written_time(column)
    if time is not None:
        return time
    separator = entry_separator(column)
    if separator is None:
        return _id(column), ""
    return {"type": "ids", "separator": separator}, f"its values hold {separator!r}"


def _of_list(column: ColumnProfile) -> tuple[dict[str, object], str]:
    return {"type": "ids", "max_len": list_length(column)}, ""


def _of_time(column: ColumnProfile) -> tuple[dict[str, object], str]:
    if column.dtype == "Date":
        return {"type": "datetime", "parts": ["weekday", "day"]}, ""
    return {"type": "datetime", "parts": ["hour", "weekday"]}, ""


def _of_bool(column: ColumnProfile) -> tuple[dict[str, object], str]:
    return _id(column), ""


def _of_other(column: ColumnProfile) -> tuple[dict[str, object], str]:
    return {}, f"there is no feature type for {column.dtype}"


_SPECS: dict[Kind, Callable[[ColumnProfile], tuple[dict[str, object], str]]] = {
    "int": _of_int,
    "float": _of_float,
    "text": _of_text,
    "bool": _of_bool,
    "time": _of_time,
    "int list": _of_list,
    "text list": _of_list,
    "other": _of_other,
}


def list_length(column: ColumnProfile) -> int:
    """Return a max_len that cuts few rows."""
    return max(1, min(200, round(column.p95_length or 1)))


def _id(column: ColumnProfile) -> dict[str, object]:
    return {"type": "id", "min_count": 2} if column.num_distinct >= _MANY_VALUES else {"type": "id"}


def _number(column: ColumnProfile) -> dict[str, object]:
    if _is_skewed(column):
        return {"type": "number", "transform": "log1p", "normalize": "standard"}
    return {"type": "number", "normalize": "standard"}


def _is_skewed(column: ColumnProfile) -> bool:
    """Say whether the largest value lies far above the usual ones, and none far below 0."""
    if column.minimum is None or column.maximum is None:
        return False
    usual = max(median(map(float, column.sample)), 1.0)
    return column.minimum >= -0.01 * column.maximum and column.maximum > 20 * usual


def _is_time(column: ColumnProfile) -> bool:
    return _unix_time(column) is not None or _written_time(column) is not None


def _unix_time(column: ColumnProfile) -> tuple[dict[str, object], str] | None:
    """Return a datetime feature for integers between 1990 and 2100 in seconds, milli- or microseconds."""
    if kind_of(column) != "int" or column.minimum is None or column.maximum is None or _ID_NAME.search(column.name):
        return None
    for unit, per_second in (("s", 1), ("ms", 1_000), ("us", 1_000_000)):
        low, high = column.minimum / per_second, column.maximum / per_second
        is_inside = _UNIX_YEARS[0] <= low and high <= _UNIX_YEARS[1]
        if is_inside and (_TIME_NAME.search(column.name) or high - low < 20 * 365 * 86_400):
            spec: dict[str, object] = {"type": "datetime", "parts": ["hour", "weekday"], "unit": unit}
            if unit == "s":
                del spec["unit"]
            days = f"{datetime.fromtimestamp(low, UTC).date()} to {datetime.fromtimestamp(high, UTC).date()}"
            return spec, f"Unix time, {days}"
    return None


def _written_time(column: ColumnProfile) -> tuple[dict[str, object], str] | None:
    """Return a datetime feature for dates that are written out, such as 14102100 or 2014-10-21."""
    kind = kind_of(column)
    if kind not in ("int", "text") or not column.sample:
        return None
    if kind == "int" and not _TIME_NAME.search(column.name):
        return None
    texts = column.sample
    for pattern in _NUMBER_FORMATS if kind == "int" else _TEXT_FORMATS:
        if all(_parses(text, pattern) for text in texts):
            has_hours = "%H" in pattern if pattern else any(len(text) > 10 for text in texts)
            parts = ["hour", "weekday"] if has_hours else ["weekday", "day"]
            spec: dict[str, object] = {"type": "datetime", "parts": parts}
            return (spec if pattern is None else spec | {"format": pattern}), "a written date"
    return None


def _parses(text: str, pattern: str | None) -> bool:
    """Say whether a text is a date between 1990 and 2100 in this form; None is ISO 8601 with dashes."""
    try:
        if pattern is None:
            return text[4:5] == "-" and 1990 <= datetime.fromisoformat(text).year < 2100
        return 1990 <= datetime.strptime(text, pattern).year < 2100
    except ValueError:
        return False


def entry_separator(column: ColumnProfile) -> str | None:
    """Return the character that splits most values of a text column into single words or numbers."""
    if kind_of(column) != "text":
        return None
    texts = column.sample
    for separator in _SEPARATORS:
        split = [text for text in texts if separator in text]
        is_plain = all(part and " " not in part for text in split for part in text.split(separator))
        if separator in ", " and not all(part.isdigit() for text in split for part in text.split(separator)):
            continue
        if split and 2 * len(split) >= len(texts) and (is_plain or separator == "|"):
            return separator
    return None
