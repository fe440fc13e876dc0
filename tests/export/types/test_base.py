"""Exported encoders give exactly what `features.transform` gives."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from recsys.features.transform import canonicalize, encode
from tests.export.models import ids_and_numbers, make

NASTY = """
label: clicked
features:
  user: {type: id}
  city: {type: id, min_count: 2}
  flag: {type: id, vocabulary: [b, a, never]}
  any: {type: id, vocabulary: open}
  genres: {type: ids, max_len: 2, separator: "|"}
  tags: {type: ids, max_len: 3, vocabulary: open, pooling: sum}
  clicks: {type: sequence, of: city, max_len: 2}
  plain: {type: number, column: x}
  log: {type: number, column: x, transform: log1p, normalize: standard}
  squared: {type: number, column: x, transform: log_squared}
  ranged: {type: number, column: y, normalize: minmax}
  cut: {type: bucket, column: x, boundaries: [-1.5, 0.0, 2.0]}
  quartile: {type: bucket, column: y, quantiles: 4}
  time: {type: datetime, parts: [minute, hour, weekday, weekend, day, month]}
  city_x_user: {type: cross, of: [city, user]}
  open_cross: {type: cross, of: [city, any, user], vocabulary: open}
tables:
  keys: {features: [any, tags, open_cross], scheme: hash, rows: 97}
model: {tower: lr}
"""
TRAIN = {
    "clicked": [0, 1, 0, 1, 0],
    "user": [7, -3, 2**62, None, 7],
    "city": ["a", "b", "a", None, ""],
    "flag": ["a", "b", "c", None, ""],
    "any": [1, -(2**63) + 1, 2**63 - 1, None, 0],
    "genres": ["x|y|z", "", "y", None, "z|z"],
    "tags": [[1, 2, 3, 4, 5], [], [None], None, [-1]],
    "clicks": [["a", "b", "a"], [], ["nowhere", None], None, ["", "a"]],
    "x": [0.0, -7.25, 1e12, None, 2.0],
    "y": [0.5, 3.0, 3.0, 100.0, -8.0],
    "time": [0, -1, 951_782_400, None, 4_107_542_399],
}
UNSEEN = {
    "clicked": [0, 0, 0, 0, 0],
    "user": [8, -(2**62), 7, -3, None],
    "city": ["\u00fcber", "A", "", "a", None],
    "flag": ["never", "z", "b", "a", None],
    "any": [5, 5, None, -5, 2**40],
    "genres": ["||", "q|x", "z|y|x|z", "x", None],
    "tags": [[], [7] * 9, [2**50, None], [0], None],
    "clicks": [["b"] * 5, ["zz", "a", "b"], [None], [], None],
    "x": [float("nan"), float("inf"), -1e300, -1.5, 1e-300],
    "y": [-9.0, 1e30, 0.5, float("nan"), 3.0],
    "time": [-62_135_596_800, -86_401, 68_169_600, 1_709_164_800, None],
}


@pytest.mark.parametrize("rows", [TRAIN, UNSEEN, {name: values[:0] for name, values in TRAIN.items()}])
def test_ids_and_numbers_are_those_of_the_prepared_data(rows, tmp_path: Path) -> None:
    train = pl.DataFrame(TRAIN)
    made = make(NASTY, train, tmp_path)
    frame = pl.DataFrame(rows, schema=train.schema)
    prepared = encode(canonicalize(frame, made.resolved, made.state), made.resolved, made.state)
    ids, numbers = ids_and_numbers(made, frame)
    for name, values in ids.items():
        assert values == prepared.column(name).to_pylist(), name
    expected = [prepared.column(f.name).to_numpy() for f in made.resolved.fields_of_kind("number")]
    np.testing.assert_array_equal(numbers, np.stack(expected, axis=1))
