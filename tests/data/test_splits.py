from collections.abc import Iterator

import numpy as np
import polars as pl
import pytest

from recsys.config import DatetimeFeature, IdFeature
from recsys.data.splits import RandomCut, exact_order_statistics, time_keys
from recsys.errors import DataError
from recsys.features.fingerprint import Keys
from recsys.sources.location import RowLocation
from recsys.sources.source import RowChunk
from tests.features.configs import resolved


@pytest.mark.parametrize("limit", [2, 10, 1000, 2**20])
@pytest.mark.parametrize("spread", [5, 1000, 2**40])
def test_order_statistics_are_exact_however_little_fits_in_memory(limit: int, spread: int) -> None:
    values = np.random.default_rng(0).integers(-spread, spread, 3001)
    passes = 0

    def chunks() -> Iterator[Keys]:
        nonlocal passes
        passes += 1
        yield from np.array_split(values, 7)

    shares = [0.001, 0.5, 0.8, 0.9, 1.0]
    expected = np.sort(values)[[int(np.ceil(round(share * 3001, 6))) - 1 for share in shares]]
    assert exact_order_statistics(chunks, shares, limit) == expected.tolist()
    assert passes == 1 or limit < len(np.unique(values))


def test_order_statistics_of_nothing_are_an_error() -> None:
    with pytest.raises(DataError, match=r"data.train: no rows to split"):
        exact_order_statistics(lambda: iter(()), [0.5])


def test_where_a_row_goes_depends_on_its_number_and_not_on_its_frame() -> None:
    cut = RandomCut(seed=3, valid=0.2, test=0.3)

    def numbers(start: int, rows: int) -> list[int]:
        assigned = cut.number(RowChunk(pl.DataFrame({"x": np.zeros(rows)}), RowLocation(), start))
        assert assigned is not None
        return assigned.tolist()

    whole = numbers(0, 10_000)
    assert numbers(0, 4000) + numbers(4000, 6000) == whole
    assert np.bincount(whole) / 10_000 == pytest.approx([0.5, 0.2, 0.3], abs=0.02)


@pytest.mark.parametrize("use", [True, False])
def test_times_are_read_with_the_format_of_the_feature_that_reads_them(use: bool) -> None:
    shop = resolved(user=IdFeature(type="id"), ts=DatetimeFeature(type="datetime", format="%d.%m.%Y", use=use))
    days = pl.Series("ts", ["02.01.1970", "01.02.1970"])
    assert time_keys(days, shop, RowLocation()).tolist() == [86_400, 31 * 86_400]
