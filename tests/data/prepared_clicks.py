"""A log of clicks whose rows can be told apart, and what is in its prepared folders."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from recsys.config import Config, DataSection, IdFeature, NumberFeature
from recsys.data.prepared import Prepared, PreparedSplit


def clicks(rows: int = 1000, seed: int = 0) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "row": np.arange(rows),
            "user": [f"u{value}" for value in rng.zipf(1.5, rows) % 50],
            "price": pl.Series(rng.normal(size=rows)),
            "clicked": (rng.random(rows) < 0.3).astype(np.int8),
        }
    )


def config(**changes: Any) -> Config:
    """Rows can be told apart by `row`, a number that is stored as it is."""
    basis: dict[str, Any] = {
        "label": "clicked",
        "features": {
            "row": NumberFeature(type="number"),
            "user": IdFeature(type="id"),
            "price": NumberFeature(type="number", normalize="standard"),
        },
        "data": DataSection(train="train.parquet"),
    }
    return Config(**(basis | changes))


def table(split: PreparedSplit) -> pa.Table:
    return pa.concat_tables([pa.ipc.open_file(str(file)).read_all() for file in split.files])


def rows(prepared: Prepared, name: Any) -> list[int]:
    split = prepared.splits[name]
    return [int(row) for row in table(split)["row"].to_pylist()] if split.num_rows else []


def all_rows(prepared: Prepared) -> dict[str, list[int]]:
    return {name: rows(prepared, name) for name in prepared.splits}


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    clicks().write_parquet(tmp_path / "train.parquet", row_group_size=300)
    return tmp_path


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"
