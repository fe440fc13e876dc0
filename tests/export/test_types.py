"""Exported encoders give exactly what `features.transform` gives."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from recsys.config.feature_types import PART_SIZES
from recsys.export.torchscript import script
from recsys.export.types.bucket import BucketEncoder
from recsys.export.types.cross import cross_key
from recsys.export.types.datetime import DatetimeEncoder
from recsys.export.types.keyed import VocabularyEncoder
from recsys.features import fingerprint
from recsys.features.fingerprint import NULL_KEY
from recsys.features.times import part_ids
from recsys.features.transform import canonicalize, encode
from recsys.features.vocabulary import Vocabulary
from tests.export.models import make

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


def ids_and_numbers(made, frame):
    """Run the graph's entrance and encoders, as prepared columns: ids by field, lists as lists, numbers (B, N)."""
    graph = made.export()
    raw, lengths, num_rows = graph.inputs(made.inputs(frame))
    ids = {}
    for encoder in graph.encoders:
        encoder(raw, ids)
    found = {}
    for field in made.resolved.fields_of_kind("id", "ids", "sequence"):
        values = ids[field.name]
        if field.kind == "id":
            found[field.name] = values.tolist()
        else:
            found[field.name] = [row.tolist() for row in values.split(lengths[field.name].tolist())]
    return found, graph.numbers(raw, num_rows).numpy()


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


def test_number_transforms_round_as_numpy_does(tmp_path: Path) -> None:
    drawn = np.random.default_rng(3).lognormal(sigma=6, size=20_000) * np.random.default_rng(4).choice([-1, 1], 20_000)
    train = pl.DataFrame({"clicked": [0, 1] * 10_000, "x": drawn})
    text = """
label: clicked
features:
  plain: {type: number, column: x}
  log: {type: number, column: x, transform: log1p, normalize: standard}
  squared: {type: number, column: x, transform: log_squared, normalize: minmax}
model: {tower: lr}
"""
    made = make(text, train, tmp_path)
    prepared = encode(canonicalize(train, made.resolved, made.state), made.resolved, made.state)
    _, numbers = ids_and_numbers(made, train)
    for n, name in enumerate(["plain", "log", "squared"]):
        np.testing.assert_array_equal(numbers[:, n], prepared.column(name).to_numpy())


def test_vocabulary_finds_the_first_and_last_key_and_nothing_else() -> None:
    keys = np.array([-(2**63), 4, 2**63 - 1])
    encoder = VocabularyEncoder(Vocabulary(keys, np.array([2, 3, 1], np.int32), np.zeros(4, np.int64)))
    found = encoder(torch.tensor([2**63 - 1, -(2**63), 4, 5, 3, 0]))
    assert found.tolist() == [1, 2, 3, 0, 0, 0]


def test_an_empty_vocabulary_knows_nothing() -> None:
    empty = Vocabulary(np.zeros(0, np.int64), np.zeros(0, np.int32), np.zeros(1, np.int64))
    assert VocabularyEncoder(empty)(torch.tensor([0, NULL_KEY])).tolist() == [0, 0]


def test_a_boundary_belongs_to_the_bucket_above_it() -> None:
    encoder = BucketEncoder(torch.tensor([0.0, 1.0], dtype=torch.float64))
    x = torch.tensor([-1.0, 0.0, 0.5, 1.0, 9.0, float("nan")], dtype=torch.float64)
    assert encoder(x).tolist() == [1, 2, 2, 3, 3, 0]


def test_without_boundaries_there_is_one_bucket_and_missing() -> None:
    encoder = BucketEncoder(torch.zeros(0, dtype=torch.float64))
    assert encoder(torch.tensor([3.0, float("nan")], dtype=torch.float64)).tolist() == [1, 0]


@pytest.mark.parametrize("part", list(PART_SIZES))
def test_datetime_parts_are_those_of_the_calendar(part) -> None:
    drawn = np.random.default_rng(1).integers(-(10**11), 10**11, 20_000)
    edges = [NULL_KEY, 0, -1, 951_782_399, 951_782_400, 951_868_800, -2_203_891_200, 4_107_542_400]
    seconds = np.concatenate([drawn, edges])
    found = script(DatetimeEncoder(part))(torch.tensor(seconds))
    np.testing.assert_array_equal(found.numpy(), part_ids(seconds, part))


def test_crosses_are_folded_as_in_the_features() -> None:
    members = np.random.default_rng(2).integers(-(2**63), 2**63 - 1, (3, 1000))
    found = cross_key([torch.tensor(member) for member in members])
    np.testing.assert_array_equal(found.numpy(), fingerprint.cross_key(list(members)))
