"""Prepare odd and damaged data sets, as a program: `python -m tests.sources.fuzz_files FOLDER FIRST COUNT`.

Prints a line of JSON before each data set and one after it: if the process ends between them, native code has crashed,
or hung. What was read is compared with the values of `tests.sources.reference`.
"""

import json
import random
import shutil
import signal
import sys
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from recsys.api.config import load_config
from recsys.data.prepare import prepare
from recsys.data.prepared import Prepared, PreparedSplit
from recsys.data.targets import LABEL
from recsys.reasons import user_message
from tests.sources.csv_reference import RefusedError
from tests.sources.odd_data import DataSet, damaged, odd_data_set
from tests.sources.reference import Table, UnsureError, expected_column, kind_of, labels_of, read_split

SECONDS = 60
_SPLITS = ("train", "valid", "test")
_PARTS: dict[str, Callable[[datetime], int]] = {
    "minute": lambda one: one.minute,
    "hour": lambda one: one.hour,
    "weekday": lambda one: one.weekday(),
    "day": lambda one: one.day - 1,
    "month": lambda one: one.month - 1,
}


def make(folder: Path, seed: int) -> tuple[DataSet, bool]:
    """Write a data set; every other one has a damaged file. Also returns whether a binary file is damaged."""
    rng = random.Random(seed)
    data_set = odd_data_set(folder, rng)
    if seed % 2 == 0:
        return data_set, False
    path = rng.choice(data_set.files(folder))
    path.write_bytes(damaged(path.read_bytes(), rng))
    return data_set, not {"csv", "tsv"} & set(path.name.split("."))


def outcome(folder: Path, seed: int) -> tuple[str, str]:
    """Return read, refused or unsure, or a fault with what there is to say of it."""
    data_set, is_binary = make(folder, seed)
    try:
        found = prepare(load_config(data_set.config()), folder, folder / "cache")
    except Exception as error:
        message = user_message(error)
        if message is None:
            return "traceback", traceback.format_exc(limit=-5)
        if not any(path.name in message for path in data_set.files(folder)) and "data." not in message:
            return "no file named", message
        return _refused(folder, data_set, message, is_binary=is_binary)
    return _read(folder, data_set, found)


def _refused(folder: Path, data_set: DataSet, message: str, *, is_binary: bool) -> tuple[str, str]:
    if is_binary or "look like rows" in message or "separator of one character" in message:
        return "refused", message
    try:
        tables = _tables(folder, data_set)
        expected = [_expected(data_set, tables, name) for name in data_set.features]
        labels = [labels_of(table.values["y"], table.families["y"]) for table in tables.values()]
    except (RefusedError, UnsureError):
        return "refused", message
    if not labels[0] and "no training rows" in message:
        return "refused", message
    return "refused wrongly", f"{message} ({len(expected)} features)"


def _read(folder: Path, data_set: DataSet, prepared: Prepared) -> tuple[str, str]:
    print(json.dumps({"reference": True}), flush=True)
    try:
        tables = _tables(folder, data_set)
    except UnsureError:
        return "unsure", "a damaged file"
    except RefusedError:
        return "read wrongly", "a file that must be refused"
    rows = {name: _rows(prepared.splits[name]) for name in _SPLITS}
    is_sure = True
    for name in data_set.features:
        try:
            problem = _compare(data_set.features[name], _expected(data_set, tables, name), rows, name)
        except UnsureError:
            is_sure = False
        except RefusedError:
            return "read wrongly", f"{name}: a value that must be refused"
        else:
            if problem:
                return "wrong values", f"{name}: {problem}"
    return _labels(tables, rows) or (("read" if is_sure else "unsure"), "")


def _tables(folder: Path, data_set: DataSet) -> dict[str, Table]:
    columns = [*data_set.features, "y"]
    return {
        name: read_split([folder / path for path in data_set.data[name]], columns, data_set.data) for name in _SPLITS
    }


def _expected(data_set: DataSet, tables: Mapping[str, Table], name: str) -> dict[str, list[Any]]:
    kind = kind_of([table.families[name] for table in tables.values()])
    feature = data_set.features[name]
    return {
        split: expected_column(feature, table.values[name], table.families[name], kind)
        for split, table in tables.items()
    }


def _rows(split: PreparedSplit) -> dict[str, list[Any]]:
    tables = [pa.ipc.open_file(path.read_bytes()).read_all() for path in split.files]
    return pa.concat_tables(tables).to_pydict() if tables else {}


def _labels(tables: Mapping[str, Table], rows: Mapping[str, Mapping[str, list[Any]]]) -> tuple[str, str] | None:
    for split, table in tables.items():
        found = next((values for name, values in rows[split].items() if name.startswith(LABEL)), [])
        try:
            if found != labels_of(table.values["y"], table.families["y"]):
                return "wrong values", f"labels of {split}"
        except RefusedError:
            return "read wrongly", f"labels of {split}"
        except UnsureError:
            return "unsure", ""
    return None


def _compare(
    feature: Mapping[str, Any],
    expected: Mapping[str, list[Any]],
    rows: Mapping[str, Mapping[str, list[Any]]],
    name: str,
) -> str:
    """Return what is wrong with the prepared columns of a feature; "" if nothing is."""
    match feature["type"]:
        case "datetime":
            wanted = {
                f"{name}.{part}": {
                    split: [0 if one is None else 1 + of(one) for one in times] for split, times in expected.items()
                }
                for part, of in _PARTS.items()
            }
        case "number":
            wanted = {
                name: {split: [0.0 if one is None else one for one in numbers] for split, numbers in expected.items()}
            }
        case _:
            return _compare_ids(expected, {split: rows[split].get(name, []) for split in _SPLITS})
    for field, columns in wanted.items():
        for split, values in columns.items():
            found = rows[split].get(field, [])
            if found != values:
                return _difference(f"{field} of {split}", values, found)
    return ""


def _compare_ids(expected: Mapping[str, list[Any]], found: Mapping[str, list[Any]]) -> str:
    """Each value of the training rows has an id of its own, in the order of falling frequency; others have 0."""
    counts = Counter(_flat(expected["train"]))
    ids: dict[Any, int] = {}
    if len(_flat(expected["train"])) == len(_flat(found["train"])):
        ids = dict(zip(_flat(expected["train"]), _flat(found["train"]), strict=True))
    if sorted(ids.values()) != list(range(1, len(counts) + 1)):
        return _difference("train", expected["train"], found["train"])
    if [counts[value] for value in sorted(ids, key=lambda one: ids[one])] != sorted(counts.values(), reverse=True):
        return f"ids are not in the order of frequency: {ids}"
    for split in _SPLITS:
        wanted = [
            [ids.get(one, 0) for one in value] if isinstance(value, list) else ids.get(value, 0)
            for value in expected[split]
        ]
        if wanted != found[split]:
            return _difference(split, expected[split], found[split])
    return ""


def _flat(column: Sequence[Any]) -> list[Any]:
    return [one for value in column for one in (value if isinstance(value, list) else [value])]


def _difference(where: str, expected: Sequence[Any], found: Sequence[Any]) -> str:
    return f"{where}: {len(expected)} and {len(found)} rows; expected {expected!r:.600}, found {found!r:.600}"


def main(folder: Path, first: int, count: int) -> None:
    """Run some data sets."""
    for seed in range(first, first + count):
        print(json.dumps({"begins": seed}), flush=True)
        signal.alarm(SECONDS)
        scratch = folder / str(seed)
        scratch.mkdir(parents=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found, detail = outcome(scratch, seed)
        signal.alarm(0)
        print(json.dumps({"seed": seed, "outcome": found, "detail": detail}), flush=True)
        shutil.rmtree(scratch)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
