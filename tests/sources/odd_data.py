"""Small data sets with odd values in odd files, all from one seed, and damage of their files."""

import bz2
import gzip
import json
import random
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet
from pyarrow import feather

from tests.sources.damaged import write_file, write_stream

__all__ = ["DataSet", "damaged", "odd_data_set"]

_TEXTS = ["a", "b", "12", "12.0", "007", "-0", "1e3", "nan", "NA", "null", "\\N", " x", "x ", "\u00e9", "e\u0301", ""]
_TEXTS += ["\u65e5\u672c", "\U0001f600", 'q"uote', '"q"', "a,b", "a;b", "a::b", "a|b", "tab\t", "line\nend", "cr\r\nlf"]
_TEXTS += ["lone\rcr", "nul\0", "\ufeffmark", "\u2028", "\x85", "\x1f", "'", "[1, 2]", "long" * 1500, "true", "1_0"]
_WHOLE = [0, 1, -1, 7, 12, 100, 2**31, 2**53 + 1, -(2**63) + 1, 2**63 - 1]
_REAL = [0.0, -0.0, 1.0, 12.0, 1e3, 0.5, float("nan"), float("inf"), 1e39, 1e-40, -7.25]
_NUMBERS = ["0", "-0", "12", "12.0", "1e3", "1E-3", "+5", ".5", "5.", "nan", "NaN", "inf", "-inf", "", " 7", "1e39"]
_TIMES = [datetime(2017, 11, 25, 13), datetime(1969, 12, 31, 23, 59, 59, 999_999), datetime(2024, 2, 29, 0, 0, 1)]
_TIMES += [datetime(1, 1, 1), datetime(9999, 12, 31, 23)]
_ISO = ["2017-11-25", "2017-11-26 13:05:06", "2017-11-26T23:59:59.9", "2017-11-25T13:00:00Z", "1511568000", "", "soon"]
_LISTS = ["", "a", "a|b", "a | b|", "||", "1|2|1", "|a", "\u00e9|\u65e5"]
_JSON = ["[]", "[1, 2]", '["a", "b c", "a"]', "[null]", '["q\\"", "\u00e9"]', "[3, null, 3]", '[""]', "[1.0]", "[[1]]"]

FEATURES: dict[str, dict[str, Any]] = {
    "u": {"type": "id"},
    "w": {"type": "id"},
    "l": {"type": "ids", "max_len": 50},
    "n": {"type": "number"},
    "t": {"type": "datetime", "parts": ["minute", "hour", "weekday", "day", "month"]},
}
Values = list[Any]
_INTEGERS = (pa.int64(), pa.int32(), pa.int8(), pa.uint64(), pa.uint16(), pa.float64(), pa.float32(), pa.decimal128(38))
_STRINGS = (pa.string(), pa.large_string(), pa.string_view(), pa.binary(), pa.dictionary(pa.int8(), pa.string()))
_STAMPS = (pa.timestamp("us"), pa.timestamp("ms"), pa.timestamp("s"), pa.timestamp("us", "Asia/Tokyo"), pa.date32())
_CHOICES: dict[str, list[tuple[Values, tuple[Any, ...]]]] = {
    "u": [(_TEXTS, _STRINGS), (_WHOLE, _INTEGERS), ([True, False], (pa.bool_(), pa.int8()))],
    "w": [
        (_TEXTS, _STRINGS),
        (_WHOLE, _INTEGERS),
        ([0.0, 3.0, 12.0, -0.0, float("nan")], (pa.float64(), pa.float16())),
    ],
    "l": [
        ([[], [1], [3, 3, 7], [None, 1]], (pa.list_(pa.int64()), pa.large_list(pa.int32()), pa.list_(pa.float64()))),
        ([[], ["a"], ["", "b", None]], (pa.list_(pa.string()), pa.large_list(pa.string()), pa.list_(pa.binary()))),
        ([[1, 2], [3, None]], (pa.list_(pa.int16(), 2), pa.list_(pa.int64()))),
        (_JSON, _STRINGS),
    ],
    "n": [(_REAL, (pa.float64(), pa.float32(), pa.float64())), (_WHOLE, _INTEGERS), (_NUMBERS, _STRINGS[:3])],
    "t": [
        (_TIMES, _STAMPS),
        ([date(2020, 1, 1), date(1969, 12, 31)], (pa.date32(), pa.date64())),
        ([0, 1511568000, -1], (pa.int64(), pa.int32(), pa.float64())),
        (_ISO, _STRINGS[:3]),
    ],
    "y": [([0, 1], (pa.int8(), pa.int64(), pa.float32(), pa.bool_()))],
}
_TEXT_CHOICES: dict[str, list[Values]] = {
    "u": [_TEXTS, ["12", "7", "-0", ""]],
    "w": [_TEXTS],
    "l": [_LISTS],
    "n": [_NUMBERS],
    "t": [_ISO],
    "y": [["0", "1"], ["0.0", "1.0"]],
}
_PACK: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".zst": lambda content: pa.compress(content, "zstd", asbytes=True),
}
_FORMS = ["csv", "csv", "tsv", "parquet", "arrow", "arrows", "feather"]


class DataSet(NamedTuple):
    """Sections of a configuration, and the files that it names."""

    features: dict[str, Any]
    data: dict[str, Any]

    def config(self) -> dict[str, Any]:
        return {"label": "y", "features": self.features, "data": self.data}

    def files(self, folder: Path) -> list[Path]:
        return [folder / name for split in ("train", "valid", "test") for name in self.data[split]]


def odd_data_set(folder: Path, rng: random.Random) -> DataSet:
    """Write one to three files for training, and one each for valid and test."""
    form = rng.choice(_FORMS)
    names = [name for name in FEATURES if rng.random() < 0.5] or ["u"]
    features = {name: dict(FEATURES[name]) for name in names}
    data: dict[str, Any] = {}
    if rng.random() < 0.2:
        data["null_values"] = ["NA", "\\N", "null"]
    if form == "csv" and rng.random() < 0.5:
        data["separator"] = rng.choice([";", "|", "::", "\t", " "])
    if "l" in features and form in ("csv", "tsv"):
        features["l"]["separator"] = "|"
    pools = {name: _pools(name, form, rng) for name in [*names, "y"]}
    for split, number in (("train", rng.choice([1, 1, 2, 3])), ("valid", 1), ("test", 1)):
        data[split] = []
        for index in range(number):
            one = form if rng.random() < 0.95 else rng.choice(_FORMS)
            rows = rng.choice([0, 1, 8, 20, 20, 40, 60]) if split != "train" or index else rng.choice([8, 30, 60])
            columns = {name: (*pool, _values(name, pool[0], rows, rng)) for name, pool in pools.items()}
            write = _write_text if one in ("csv", "tsv") else _write_table
            data[split].append(write(folder, f"{split}{index}.{one}", columns, data, rng))
    return DataSet(features, data)


def _pools(name: str, form: str, rng: random.Random) -> tuple[Values, tuple[Any, ...]]:
    """Return a few values of a column, and the types that it may have."""
    if form in ("csv", "tsv"):
        pool, types = rng.choice(_TEXT_CHOICES[name]), _STRINGS[:3]
    else:
        pool, types = rng.choice(_CHOICES[name])
    few = pool if name == "y" else rng.sample(pool, min(len(pool), rng.choice([2, 3, 4, 6])))
    return few, types if rng.random() < 0.9 else rng.choice(_CHOICES[name])[1]


def _values(name: str, pool: Values, rows: int, rng: random.Random) -> Values:
    if name == "y":
        return [pool[i % 2] for i in range(rows)]
    if rng.random() < 0.05:
        return [None] * rows
    share = rng.choice([0.0, 0.0, 0.2])
    return [None if rng.random() < share else rng.choice(pool) for _ in range(rows)]


def _array(values: Values, types: tuple[Any, ...], rng: random.Random) -> Any:
    """Return the values in one of the types, the first that holds them all."""
    if all(value is None for value in values) and rng.random() < 0.5:
        return pa.nulls(len(values))
    for dtype in rng.sample(types, len(types)):
        try:
            return pa.array(values, dtype)
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError, TypeError, ValueError):
            continue
    return pa.array(values)


def _write_table(folder: Path, name: str, columns: dict[str, Any], data: dict[str, Any], rng: random.Random) -> str:
    del data
    table = pa.table({column: _array(values, types, rng) for column, (_, types, values) in columns.items()})
    path, form = folder / name, name.rsplit(".", 1)[1]
    packing = rng.choice([None, "lz4", "zstd"])
    if form == "parquet":
        codec = rng.choice(["none", "snappy", "zstd", "gzip"])
        pyarrow.parquet.write_table(table, path, compression=codec, row_group_size=rng.choice([7, 1000]))
    elif form == "feather":
        feather.write_feather(table, path, compression=packing or "uncompressed")
    else:
        (write_stream if form == "arrows" else write_file)(table, path, packing)
    return name


def _write_text(folder: Path, name: str, columns: dict[str, Any], data: dict[str, Any], rng: random.Random) -> str:
    quotes, end = name.endswith("csv"), rng.choice(["\n", "\n", "\r\n"])
    separator = data.get("separator") or ("," if quotes else "\t")
    always = rng.random() < 0.2
    rows = [list(columns), *zip(*(values for _, _, values in columns.values()), strict=True)]
    lines = [separator.join(_field(value, separator, quotes, always) for value in row) + end for row in rows]
    text = "".join(line + end * (rng.random() < 0.01) for line in lines)
    if rng.random() < 0.1:
        text = "\ufeff" + text
    if rng.random() < 0.2:
        text = text.removesuffix(end)
    suffix = rng.choice(list(_PACK)) if rng.random() < 0.3 else ""
    content = _PACK[suffix](text.encode(rng.choice(["utf-8"] * 60 + ["utf-16", "utf-16-le"])))
    name += suffix if rng.random() < 0.9 else ""
    (folder / name).write_bytes(content)
    return name


def _field(value: Any, separator: str, quotes: bool, always: bool) -> str:
    if value is None:
        return ""
    text = str(value) if not isinstance(value, list | bytes) else json.dumps(value)
    needs = always or any(mark in text for mark in (separator, "\n", "\r", '"')) or text != text.strip()
    return '"' + text.replace('"', '""') + '"' if quotes and needs else text


def damaged(content: bytes, rng: random.Random) -> bytes:
    """Change a file in one to three ways."""
    for _ in range(rng.choice([1, 1, 2, 3])):
        content = rng.choice(_DAMAGES)(content, rng)
    return content


def _flip(content: bytes, rng: random.Random) -> bytes:
    place = rng.randrange(len(content)) if content else 0
    return (
        content[:place] + bytes([(content[place] if content else 0) ^ (1 << rng.randrange(8))]) + content[place + 1 :]
    )


def _cut(content: bytes, rng: random.Random) -> bytes:
    return content[: rng.randint(0, len(content))]


def _without_part(content: bytes, rng: random.Random) -> bytes:
    place = rng.randint(0, len(content))
    return content[:place] + content[place + rng.choice([1, 1, 3, 50]) :]


def _insert(content: bytes, rng: random.Random) -> bytes:
    place = rng.randint(0, len(content))
    odd = [
        b'"',
        b'""',
        b"\n",
        b"\r",
        b"\r\n",
        b"\0",
        b",",
        b"\t",
        b"\xff",
        b"\xef\xbb\xbf",
        b"\xed\xa0\x80",
        b"-",
        b" ",
    ]
    return content[:place] + rng.choice(odd) * rng.choice([1, 1, 2, 100]) + content[place:]


def _repeat_lines(content: bytes, rng: random.Random) -> bytes:
    lines = content.splitlines(keepends=True) or [b""]
    start = rng.randrange(len(lines))
    return b"".join(lines[: start + rng.choice([1, 2, 5])] + lines[start:])


def _swap_separators(content: bytes, rng: random.Random) -> bytes:
    one, other = rng.sample([b",", b";", b"\t", b"|", b" ", b'"', b"'"], 2)
    return content.replace(one, other, rng.choice([1, 2, -1]))


def _zeros(content: bytes, rng: random.Random) -> bytes:
    place, length = rng.randint(0, len(content)), rng.choice([1, 8, 64])
    return content[:place] + bytes(min(length, len(content) - place)) + content[place + length :]


_DAMAGES = [_flip, _flip, _cut, _without_part, _insert, _repeat_lines, _swap_separators, _zeros]
