"""Rows of a shop, with a feature of every type."""

import polars as pl

from recsys.config import (
    BucketFeature,
    CrossFeature,
    DatetimeFeature,
    HashTable,
    IdFeature,
    IdsFeature,
    NumberFeature,
    SequenceFeature,
)
from recsys.features.state import TransformState
from recsys.features.transform import canonicalize, encode
from tests.features.configs import resolved

SHOP = resolved(
    config={"tables": {"open": HashTable(features=("user",), scheme="hash", rows=10, dim=4)}},
    item=IdFeature(type="id"),
    city=IdFeature(type="id", min_count=2),
    user=IdFeature(type="id", vocabulary="open"),
    level=IdFeature(type="id", vocabulary=("high", "low")),
    both=CrossFeature(type="cross", of=("item", "city")),
    tags=IdsFeature(type="ids", max_len=2),
    history=SequenceFeature(type="sequence", of="item", max_len=2),
    seen_by=SequenceFeature(type="sequence", of="user"),
    marks=SequenceFeature(type="sequence", behaviour="history", max_len=2, min_count=2),
    price=NumberFeature(type="number", normalize="minmax"),
    size=BucketFeature(type="bucket", boundaries=(0.0, 10.0)),
    ts=DatetimeFeature(type="datetime", parts=("hour", "weekend")),
)


FRAME = pl.DataFrame(
    {
        "item": [10, 20, 20, None],
        "city": ["Ulm", "Ulm", None, "Bonn"],
        "user": ["u", "v", "u", None],
        "level": ["low", "mid", "low", "high"],
        "tags": [["a"], ["b", "a", "c"], [], None],
        "history": [[10, 30, 30], [20], [30, None], []],
        "seen_by": [["u"], [], None, ["v", "u"]],
        "marks": [[5, 1, 5], [1], [1, 1], []],
        "price": [1.0, 3.0, None, 2.0],
        "size": [-1.0, 0.0, 10.0, float("nan")],
        "ts": [0, 5 * 3600, None, 2 * 86400],
    }
)


def prepared(frame: pl.DataFrame, state: TransformState) -> dict[str, list[object]]:
    return encode(canonicalize(frame, SHOP, state), SHOP, state).to_pydict()
