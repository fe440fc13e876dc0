"""A request and its answer, for the signature of a bundle: what a client in another language can copy and compare."""

from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np
import polars as pl

from recsys.bundle_folder import CANDIDATE_LENGTHS
from recsys.config import ResolvedConfig
from recsys.config.feature_types import DatetimeFeature
from recsys.errors import DataError
from recsys.features.state import TransformState
from recsys.features.transform import canonical_inputs, canonicalize, input_columns
from recsys.sources.json_rows import json_frame
from recsys.sources.location import RowLocation

__all__ = ["example"]

EXAMPLE_ROWS = 2
DATATYPES = {"int64": "INT64", "float64": "FP64"}


def example(
    golden: pl.DataFrame,
    expected: np.ndarray,
    described: Mapping[str, Any],
    resolved: ResolvedConfig,
    state: TransformState,
    score: Callable[[pl.DataFrame], np.ndarray],
) -> dict[str, Any]:
    """Return a few golden rows as the Open Inference Protocol and as plain JSON rows hold them, with their scores.

    Args:
        golden: raw rows.
        expected: (rows, tasks) their probabilities.
        described: the signature so far.
        resolved: the configuration of the model.
        state: the fitted state.
        score: canonical rows -> their probabilities, (rows, tasks).

    Returns:
        `request` and `answer` with the tensors, and `rows` with the raw values; no `rows` if JSON cannot hold these.
        In `ranking` the same for the first of the rows as a user, and all of them as candidates; `rank` has the values.
    """
    chosen = _full_rows(golden.select(input_columns(resolved)))
    canonical = canonicalize(golden[chosen], resolved, state)
    rows = _json_rows(golden[chosen], canonical, resolved, state)
    shown = {"request": {"inputs": _tensors(canonical)}, "answer": _answer(expected[chosen], described)}
    return {**({} if rows is None else {"rows": rows}), **shown, "ranking": _ranking(canonical, rows, described, score)}


def _ranking(
    canonical: pl.DataFrame,
    rows: list[dict[str, Any]] | None,
    described: Mapping[str, Any],
    score: Callable[[pl.DataFrame], np.ndarray],
) -> dict[str, Any]:
    """Return the first of some rows as a user, and all of them as candidates."""
    of_user = [declared["name"] for declared in described["inputs"] if declared["user"]]
    user = canonical[:1].select(of_user)
    tensors = _tensors(user) + _tensors(canonical.drop(of_user))
    counts = {"name": CANDIDATE_LENGTHS, "datatype": "INT64", "shape": [1], "data": [canonical.height]}
    repeated = canonical[[0] * canonical.height].select(of_user)
    scores = score(canonical.with_columns(repeated.get_columns()))
    shown = {"request": {"inputs": [*tensors, counts]}, "answer": _answer(scores, described)}
    if rows is None:
        return shown
    columns = {declared["column"] for declared in described["inputs"] if declared["user"]}
    candidates = [{name: value for name, value in row.items() if name not in columns} for row in rows]
    return {
        "rank": {"user": {name: rows[0][name] for name in rows[0] if name in columns}, "candidates": candidates}
    } | shown


def _answer(scores: np.ndarray, described: Mapping[str, Any]) -> dict[str, Any]:
    outputs = [
        {"name": output["name"], "datatype": "FP64", "shape": [len(scores)], "data": scores[:, task].tolist()}
        for task, output in enumerate(described["outputs"])
    ]
    return {"outputs": outputs}


def _full_rows(frame: pl.DataFrame) -> list[int]:
    """Return the places of the rows with the fewest missing values and empty lists, in order."""
    missing = np.zeros(frame.height, dtype=np.int64)
    for column in frame.get_columns():
        missing += column.is_null().to_numpy()
        if isinstance(column.dtype, pl.List):
            missing += column.list.len().fill_null(0).eq(0).to_numpy()
    return sorted(np.argsort(missing, kind="stable")[:EXAMPLE_ROWS].tolist())


def _tensors(canonical: pl.DataFrame) -> list[dict[str, Any]]:
    return [
        {"name": name, "datatype": DATATYPES[str(array.dtype)], "shape": [len(array)], "data": _without_nan(array)}
        for name, array in canonical_inputs(canonical).items()
    ]


def _without_nan(array: np.ndarray) -> list[Any]:
    return [None if value != value else value for value in array.tolist()]


def _json_rows(
    golden: pl.DataFrame, canonical: pl.DataFrame, resolved: ResolvedConfig, state: TransformState
) -> list[dict[str, Any]] | None:
    """Return raw rows as JSON holds them; None if they would be read as other values."""
    columns = input_columns(resolved)
    formats = {
        feature.column_of(name): feature.format
        for name, feature in resolved.features.items()
        if isinstance(feature, DatetimeFeature)
    }
    try:
        rows = [
            {name: _json_value(value, formats.get(name)) for name, value in row.items()}
            for row in golden.select(columns).to_dicts()
        ]
        read = canonicalize(json_frame(rows, columns, RowLocation()), resolved, state)
    except (DataError, ValueError, TypeError):
        return None
    return rows if read.equals(canonical) else None


def _json_value(value: Any, time_format: str | None) -> Any:
    match value:
        case list():
            return [_json_value(entry, time_format) for entry in value]
        case bytes():
            return value.decode()
        case Decimal():
            return int(value) if value == value.to_integral_value() else float(value)
        case float() if not np.isfinite(value):
            return None
        case date():  # a datetime is one, too
            return value.isoformat() if time_format is None else value.strftime(time_format)
        case _:
            return value
