"""Samples of the synthetic logs, which are drawn once for all tests."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recsys.data.synthetic import SyntheticLog, generate, generate_dims, generate_wide
from recsys.data.synthetic.dims import Dims
from recsys.data.synthetic.log import CHUNK_ROWS, Sample, make_chunk
from recsys.data.synthetic.shop import Settings, Shop
from recsys.data.synthetic.wide import Wide

ROWS = CHUNK_ROWS + 5_000  # two chunks, the second of them short


def read(log: SyntheticLog, split: str) -> pa.Table:
    files = sorted((log.folder / "train").iterdir()) if split == "train" else [log.folder / f"{split}.parquet"]
    return pa.concat_tables([pq.read_table(file) for file in files])


def column(sample: Sample, name: str) -> np.ndarray[Any, Any]:
    return sample.table[name].to_numpy()


def count_matches(sample: Sample) -> np.ndarray[Any, Any]:
    categories = column(sample, "category")
    return np.array([(row == c).sum() for row, c in zip(column(sample, "clicked_categories"), categories, strict=True)])


@pytest.fixture(scope="session")
def shop_log(tmp_path_factory: pytest.TempPathFactory) -> SyntheticLog:
    return generate(tmp_path_factory.mktemp("shop"), rows=ROWS)


@pytest.fixture(scope="session")
def shop() -> Shop:
    return Shop(rows=ROWS, seed=1, settings=Settings())


@pytest.fixture(scope="session")
def sample(shop: Shop) -> Sample:
    return make_chunk(shop, 0)


@pytest.fixture(scope="session")
def wide_log(tmp_path_factory: pytest.TempPathFactory) -> SyntheticLog:
    return generate_wide(tmp_path_factory.mktemp("wide"), rows=20_000, seed=5)


@pytest.fixture(scope="session")
def wide() -> Sample:
    return make_chunk(Wide(rows=CHUNK_ROWS, seed=5), 0)


@pytest.fixture(scope="session")
def dims_log(tmp_path_factory: pytest.TempPathFactory) -> SyntheticLog:
    return generate_dims(tmp_path_factory.mktemp("dims"), rows=20_000, seed=5)


@pytest.fixture(scope="session")
def dims() -> Sample:
    return make_chunk(Dims(rows=CHUNK_ROWS, seed=5), 0)
