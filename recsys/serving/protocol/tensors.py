"""Tensors as a request carries them: from JSON, from raw bytes, from the typed fields of gRPC.

What is wrong with one is a DataError that names the tensor, and the row if it is one value.
"""

import math
import re
import struct
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from recsys.features.fingerprint import NULL_KEY
from recsys.sources.json_rows import first_without_bytes
from recsys.sources.location import RowLocation

__all__ = ["NUMPY_TYPES", "REQUEST", "Texts", "WireTensor", "from_contents", "from_json", "from_raw"]

Texts: TypeAlias = list[str | None]

REQUEST = RowLocation()
"""A request is not a file, so messages begin with the tensor or column."""
NUMPY_TYPES: Mapping[str, np.dtype[Any]] = {
    "BOOL": np.dtype("?"),
    **{
        f"{kind}{bits}": np.dtype(f"<{code}{bits // 8}")
        for kind, code in (("INT", "i"), ("UINT", "u"))
        for bits in (8, 16, 32, 64)
    },
    **{f"FP{bits}": np.dtype(f"<f{bits // 8}") for bits in (16, 32, 64)},
}
"""Datatypes of the protocol beside BYTES."""
_DECIMAL = re.compile(r"-?\d{1,20}")


class WireTensor(NamedTuple):
    """A tensor with one dimension."""

    name: str
    datatype: str
    values: np.ndarray | Texts
    """An array of `NUMPY_TYPES[datatype]`; the texts of BYTES."""


def from_json(name: str, datatype: str, shape: Sequence[int], data: list[Any]) -> WireTensor:
    """Read the `data` of a tensor from JSON.

    Beside what the protocol says, null is a missing value (in INT64, numbers and BYTES), and INT64 and UINT64 may be
    texts, since many languages know no integers above 2**53.

    >>> from_json("user", "INT64", [3], [7, None, "-9007199254740993"]).values.tolist()
    [7, -9223372036854775808, -9007199254740993]
    """
    _check_length(name, datatype, shape, data, "data has")
    if datatype == "BYTES":
        return WireTensor(name, datatype, _json_texts(name, data))
    dtype = NUMPY_TYPES[datatype]
    if dtype.kind == "b":
        _check_types(name, data, {bool}, "true or false")
        return WireTensor(name, datatype, np.array(data, dtype=dtype))
    return WireTensor(
        name, datatype, _json_floats(name, data, dtype) if dtype.kind == "f" else _json_integers(name, data, dtype)
    )


def from_raw(name: str, datatype: str, shape: Sequence[int], content: bytes | memoryview) -> WireTensor:
    """Read a tensor from its bytes: little-endian values, or texts after their length in four bytes each."""
    length = _length(name, datatype, shape)
    if datatype == "BYTES":
        return WireTensor(name, datatype, _texts(name, _split(name, length, content)))
    dtype = NUMPY_TYPES[datatype]
    if len(content) != length * dtype.itemsize:
        promised = f"shape {list(shape)} of {datatype} takes {length * dtype.itemsize} bytes"
        raise REQUEST.column(name, f"{promised}, got {len(content)}")
    return WireTensor(name, datatype, np.frombuffer(content, dtype))


def from_contents(name: str, datatype: str, shape: Sequence[int], values: Sequence[Any]) -> WireTensor:
    """Read a tensor from the repeated field of a gRPC message that belongs to its datatype."""
    _check_length(name, datatype, shape, values, "contents have")
    if datatype == "BYTES":
        return WireTensor(name, datatype, _texts(name, values))
    dtype = NUMPY_TYPES[datatype]
    if dtype.kind in "iu":  # narrow integers come in fields of 32 bits
        return WireTensor(name, datatype, _json_integers(name, values, dtype))
    return WireTensor(name, datatype, np.fromiter(values, dtype, len(values)))


def _check_length(name: str, datatype: str, shape: Sequence[int], values: Sequence[Any], given: str) -> None:
    length = _length(name, datatype, shape)
    if len(values) != length:
        raise REQUEST.column(name, f"shape {list(shape)} promises {length} values, {given} {len(values)}")


def _length(name: str, datatype: str, shape: Sequence[int]) -> int:
    """Return the number of values that a shape promises, if it is one that any input has."""
    if datatype != "BYTES" and datatype not in NUMPY_TYPES:
        known = ", ".join(["BYTES", *NUMPY_TYPES])
        raise REQUEST.column(name, f"datatype must be one of {known}, got {datatype!r}")
    if len(shape) != 1 or shape[0] < 0:
        raise REQUEST.column(name, f"shape must be one number of values, such as [3], got {list(shape)}")
    return shape[0]


def _check_types(name: str, data: Sequence[Any], allowed: set[type], promised: str) -> None:
    if not set(map(type, data)) <= allowed:
        position = next(place for place, value in enumerate(data) if type(value) not in allowed)
        raise REQUEST.value(name, f"expected {promised}, got {_shown(data[position])}", position)


def _json_texts(name: str, data: list[Any]) -> Texts:
    _check_types(name, data, {str, type(None)}, "text or null")
    position = first_without_bytes(data)
    if position is not None:
        raise REQUEST.value(name, f"expected Unicode text, got {data[position]!a}", position)
    return data


def _json_floats(name: str, data: list[Any], dtype: np.dtype[Any]) -> np.ndarray:
    _check_types(name, data, {int, float, type(None)}, "a number or null")
    try:
        numbers = np.array([math.nan if value is None else value for value in data], np.float64)
    except OverflowError:
        position = next(place for place, value in enumerate(data) if type(value) is int and abs(value) >= 2**1023)
        raise REQUEST.value(name, "expected a number of 64 bits, got a longer one", position) from None
    with np.errstate(over="ignore"):  # what a narrow type cannot hold is infinite
        return numbers.astype(dtype)


def _json_integers(name: str, data: Sequence[Any], dtype: np.dtype[Any]) -> np.ndarray:
    if set(map(type, data)) - {int}:
        allowed: set[type] = {int, str} if dtype.itemsize == 8 else {int}
        _check_types(name, data, allowed | {type(None)} if dtype == np.int64 else allowed, "an integer")
        data = [_integer(name, value, position) for position, value in enumerate(data)]
    bounds = np.iinfo(dtype)
    if data and not (bounds.min <= min(data) and max(data) <= bounds.max):
        position = next(place for place, value in enumerate(data) if not bounds.min <= value <= bounds.max)
        raise REQUEST.value(name, f"expected {bounds.min} to {bounds.max}, got {_shown(data[position])}", position)
    return np.array(data, dtype)


def _integer(name: str, value: int | str | None, position: int) -> int:
    if isinstance(value, str):
        if not _DECIMAL.fullmatch(value):
            raise REQUEST.value(name, f"expected an integer, got {_shown(value)}", position)
        return int(value)
    return NULL_KEY if value is None else value


def _split(name: str, length: int, content: bytes | memoryview) -> list[bytes]:
    """Return the texts of raw BYTES."""
    view, start, texts = memoryview(content), 0, list[bytes]()
    while start + 4 <= len(view) and len(texts) < length:
        (size,) = struct.unpack_from("<I", view, start)
        texts.append(bytes(view[start + 4 : start + 4 + size]))
        start += 4 + size
    if start != len(view) or len(texts) != length:
        raise REQUEST.column(name, f"{len(view)} bytes are not {length} texts, each after its length in 4 bytes")
    return texts


def _texts(name: str, values: Sequence[bytes]) -> Texts:
    texts: Texts = []
    for position, value in enumerate(values):
        try:
            texts.append(value.decode())
        except UnicodeDecodeError:
            raise REQUEST.value(name, f"expected UTF-8 text, got {_shown(value)}", position) from None
    return texts


def _shown(value: Any) -> str:
    return f"{value!r:.60}" if not isinstance(value, int) or abs(value) < 10**40 else "a longer one"
