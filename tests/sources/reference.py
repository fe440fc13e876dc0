"""What the rows of raw files mean, by other means than the product's: a csv reader of the tests, and pyarrow's values.

Values are Python's. `Unsure` says that the reference cannot tell; the product may then read or refuse a column.
"""

import bz2
import gzip
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet

from tests.sources.csv_reference import RefusedError, read_header, read_rows

__all__ = ["Table", "UnsureError", "expected_column", "kind_of", "labels_of", "read_split"]

Kind = Literal["text", "int"]
_INTEGER = re.compile(r"[+-]?\d+(\.0*)?")
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?|[+-]?inf|nan|NaN", re.ASCII)
_ISO = re.compile(r"\d{4}-\d\d-\d\d([ T]\d\d:\d\d:\d\d(\.\d{1,6})?Z?)?")
_ODD_INTEGER = re.compile(r"\s*[+-]?[\d_]+(\.0*)?\s*")
_FAMILIES: Mapping[str, Callable[[Any], bool]] = {
    "null": pa.types.is_null,
    "text": lambda one: any(
        is_one(one)
        for is_one in (
            *(pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view),
            *(pa.types.is_binary, pa.types.is_large_binary),
        )
    ),
    "number": lambda one: (
        pa.types.is_integer(one) or pa.types.is_floating(one) or pa.types.is_decimal(one) or pa.types.is_boolean(one)
    ),
    "time": pa.types.is_temporal,
}


class UnsureError(Exception):
    """The reference does not know."""


class Table:
    """Columns as Python's values, each with a family: null, text, number, time, or list of one of them."""

    def __init__(self, values: dict[str, list[Any]], families: dict[str, str], *, is_text: bool) -> None:
        self.values = values
        self.families = families
        self.is_text = is_text


def read_split(paths: Sequence[Path], columns: Sequence[str], data: Mapping[str, Any]) -> Table:
    """Read the files of a split one after another.

    Raises:
        RefusedError: one of them must not be read, or they do not fit together.
        UnsureError: one of them may be damaged in a way that this reader cannot judge.
    """
    tables = [_read(path, columns, data) for path in paths]
    for table in tables[1:]:
        if table.is_text and list(table.families) != list(tables[0].families):
            raise RefusedError
    families = {}
    for name in columns:
        found = [table.families[name] for table in tables if name in table.families]
        if len(found) < len(tables):
            raise RefusedError
        families[name] = _common(found)
    return Table(
        {name: [value for table in tables for value in table.values[name]] for name in columns}, families, is_text=False
    )


def _common(families: list[str]) -> str:
    """Return the family of a column in several files; one without any value has none of its own."""
    typed = list(dict.fromkeys(one for one in families if not one.endswith("null")))
    if len(typed) > 1 or (typed and "list null" in families and not typed[0].startswith("list")):
        raise RefusedError
    return typed[0] if typed else families[0]


def kind_of(families: Sequence[str]) -> Kind:
    """Return how the values of a column become ids, by its families in the splits."""
    typed = next((one for one in families if not one.endswith("null")), "null")
    return "text" if typed.removeprefix("list ") in ("text", "null") else "int"


def _read(path: Path, columns: Sequence[str], data: Mapping[str, Any]) -> Table:
    form = next(part for part in path.name.split(".")[1:] if part not in ("gz", "bz2", "zst"))
    if form in ("csv", "tsv"):
        separator = data.get("separator") or ("," if form == "csv" else "\t")
        return _read_text(path, columns, separator, form == "csv", data.get("null_values", []))
    table = _arrow_table(path, form, columns)
    try:
        values = {name: table.column(name).to_pylist() for name in table.column_names if name in columns}
    except (OverflowError, ValueError) as error:  # a time that Python does not know
        raise UnsureError from error
    if any(pa.types.is_date64(table.schema.field(name).type) for name in values):
        raise UnsureError  # pyarrow's values leave out the time of day that some programs store
    families = {field.name: _family(field.type) for field in table.schema}
    for name in values:
        if families[name] == "text":
            values[name] = [_decoded(value, data.get("null_values", [])) for value in values[name]]
    return Table(values, families, is_text=False)


def _arrow_table(path: Path, form: str, columns: Sequence[str]) -> Any:
    try:
        if form == "parquet":
            return pyarrow.parquet.ParquetFile(path).read(columns=list(columns))
        with path.open("rb") as file:
            opened = pa.ipc.open_file(file) if file.read(6) == b"ARROW1" else pa.ipc.open_stream(path.read_bytes())
            return opened.read_all()
    except Exception as error:
        raise UnsureError from error


def _family(dtype: Any) -> str:
    if pa.types.is_dictionary(dtype):
        return _family(dtype.value_type)
    if any(is_list(dtype) for is_list in (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)):
        return "list " + _family(dtype.value_type)
    return next((name for name, is_one in _FAMILIES.items() if is_one(dtype)), "other")


def _decoded(value: str | bytes | None, nulls: Sequence[str]) -> str | None:
    try:
        text = value.decode() if isinstance(value, bytes) else value
    except UnicodeDecodeError as error:
        raise RefusedError from error
    return None if text in nulls else text


def _read_text(path: Path, columns: Sequence[str], separator: str, quoted: bool, nulls: Sequence[str]) -> Table:
    content = _unpacked(path.read_bytes(), path)
    if content.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in content:
        raise RefusedError
    text = content.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape")
    header, rest = read_header(text, separator=separator, quoted=quoted)
    names = [name if name and name.strip() else "" for name in header]
    named = [name for name in names if name]
    if not named or len(set(named)) < len(named) or _holds_bad_bytes("".join(named)):
        raise RefusedError
    rows = read_rows(rest, separator=separator, quoted=quoted, width=len(names))
    values = {name: [row[names.index(name)] for row in rows] for name in columns if name in names}
    if any(_holds_bad_bytes(value or "") for column in values.values() for value in column):
        raise RefusedError
    values = {name: [None if value in nulls else value for value in column] for name, column in values.items()}
    return Table(values, dict.fromkeys(named, "text"), is_text=True)


def _holds_bad_bytes(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)


def _unpacked(content: bytes, path: Path) -> bytes:
    """Decompress by the first bytes; an empty file that is called compressed is not whole."""
    try:
        if content.startswith(b"\x1f\x8b"):
            return gzip.decompress(content)
        if content.startswith(b"BZh"):
            return bz2.decompress(content)
    except Exception as error:
        raise RefusedError from error
    if content.startswith(b"\x28\xb5\x2f\xfd"):
        try:
            return bytes(pa.input_stream(pa.py_buffer(content), compression="zstd").read())
        except OSError as error:
            raise RefusedError from error
    if not content and path.suffix in (".gz", ".bz2", ".zst"):
        raise RefusedError
    return content


def expected_column(feature: Mapping[str, Any], values: Sequence[Any], family: str, kind: Kind) -> list[Any]:
    """Return what a feature sees of each row: a value, a list of values, a float32 or a time; None where missing."""
    match feature["type"]:
        case "id":
            _expect(family in ("null", "text", "number"))
            return [_as_id(value, kind) for value in values]
        case "ids":
            return [_as_list(value, family, kind, feature.get("separator")) for value in values]
        case "number":
            _expect(family in ("null", "text", "number"))
            return [_as_number(value) for value in values]
        case _:
            _expect(family in ("null", "text", "number", "time"))
            return [_as_time(value) for value in values]


def labels_of(values: Sequence[Any], family: str) -> list[float]:
    """Return labels; each must be there and from 0 to 1."""
    _expect(family in ("null", "text", "number"))
    labels = [_as_number(value) for value in values]
    _expect(all(label is not None and 0 <= label <= 1 for label in labels))
    return labels


def _expect(holds: bool) -> None:
    if not holds:
        raise RefusedError


def _as_id(value: Any, kind: Kind) -> Any:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, str | bytes):
        text = _decoded(value, [])
        return text if kind == "text" or text is None else _parsed_integer(text)
    _expect(isinstance(value, bool | int | float | Decimal | np.floating))
    _expect(not (kind == "text" and isinstance(value, bool)))
    _expect(math.isfinite(value) and value == int(value) and -(2**63) <= value < 2**64)
    _expect(isinstance(value, int) or value < 2**63)
    return str(int(value)) if kind == "text" else _wrapped(int(value))


def _parsed_integer(text: str) -> int | None:
    if text == "":
        return None
    if _INTEGER.fullmatch(text):
        number = int(text.split(".")[0])
        _expect(-(2**63) <= number < 2**64)
        return _wrapped(number)
    if _ODD_INTEGER.fullmatch(text):
        raise UnsureError
    raise RefusedError


def _wrapped(number: int) -> int:
    return number - 2**64 if number >= 2**63 else number


def _as_list(value: Any, family: str, kind: Kind, separator: str | None) -> list[Any]:
    _expect(family in ("null", "text") or (family.startswith("list ") and family[5:] in ("null", "text", "number")))
    if value is None or value in ("", b""):
        return []
    if isinstance(value, str | bytes):
        text = _decoded(value, []) or ""
        entries = _json(text) if separator is None else _split(text, separator)
        return [_as_id(entry, kind) for entry in entries]
    return [_as_id(entry, kind) for entry in value]


def _split(text: str, separator: str) -> list[str]:
    if text.strip().startswith(("[", "(", "array")):
        raise UnsureError
    entries = [entry.strip(" ") for entry in text.split(separator)]
    while entries and not entries[-1]:
        entries.pop()
    return entries


def _json(text: str) -> list[Any]:
    """Read what JSON knows; other spellings are beyond this reader."""
    try:
        entries = json.loads(text, parse_int=str, parse_float=str, parse_constant=lambda _: None)
    except ValueError as error:
        _expect(text.strip(" ").startswith(("[", "(", "array")) or not text.strip())
        raise UnsureError from error
    _expect(isinstance(entries, list) and not any(isinstance(entry, list) for entry in entries))
    if any(isinstance(entry, bool | dict) for entry in entries) or any(c in text for c in "\\.eE\t\r\n"):
        raise UnsureError
    return list(entries)


def _as_number(value: Any) -> Any:
    """Return a float32, None if it is missing."""
    if isinstance(value, str | bytes):
        text = (_decoded(value, []) or "").strip()
        if text and not _NUMBER.fullmatch(text):
            if re.fullmatch(r"(?i)[+-]?(inf|infinity|nan)|[+-]?[\d._eE+-]+", text):
                raise UnsureError
            raise RefusedError
        value = float(text) if text else None
    if value is None:
        return None
    if isinstance(value, int | Decimal) and abs(value) > 2**53:
        raise UnsureError  # rounded twice
    with np.errstate(over="ignore"):
        number = np.float32(value)
    return float(number) if math.isfinite(float(value)) and abs(float(value)) <= 3.4028234663852886e38 else None


def _as_time(value: Any) -> datetime | None:
    if isinstance(value, str | bytes):
        value = _parsed_time(_decoded(value, []) or "")
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return None
    if isinstance(value, bool):
        raise UnsureError
    if isinstance(value, int | float | Decimal):
        if abs(value) > 10**10:
            raise UnsureError
        return datetime.fromtimestamp(math.floor(value), UTC)
    if not isinstance(value, datetime):
        return datetime.combine(value, time(), UTC) if isinstance(value, date) else _no_time()
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def _parsed_time(text: str) -> Any:
    if text == "":
        return None
    if re.fullmatch(r"-?\d{1,10}", text):
        return int(text)
    if not _ISO.fullmatch(text):
        raise UnsureError if re.search(r"\d", text) else RefusedError
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise RefusedError from error


def _no_time() -> datetime:
    raise RefusedError
