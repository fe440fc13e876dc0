from typing import Any

import polars as pl
import pytest

from recsys.config import DatetimeFeature, NumberFeature
from recsys.features.fit import fit
from recsys.features.warn import warnings_about
from tests.features.configs import resolved


def warnings(values: list[Any], **options: Any) -> list[str]:
    """Fit to two frames, and return the warnings."""
    made = resolved(ts=DatetimeFeature(type="datetime", **options), price=NumberFeature(type="number"))
    frames = [pl.DataFrame({"ts": part, "price": [0.0] * len(part)}) for part in (values[:2], values[2:])]
    return warnings_about(made, fit(frames, made))


@pytest.mark.parametrize(
    ("values", "options", "said"),
    [
        ([1511568000000] * 4, {}, "1511568000000 is the year 49,869 in unit s; is it ms? (unit: ms)"),
        ([1511568000_000_000] * 4, {}, "in unit s; is it us? (unit: us)"),
        ([1511568000_000_000_000] * 4, {"unit": "ms"}, "in unit ms; is it ns? (unit: ns)"),
        (["1511568000"] * 4, {"unit": "ms"}, "1511568000 is the year 1970 in unit ms; is it s? (unit: s)"),
        ([20171125, 1511568000, 20171126, None, 20171127], {}, "20171125 is the year 1970 in unit s; is it a date? "),
        ([20171125] * 4, {}, 'is it a date? (format: "%Y%m%d")'),
        ([2017112513] * 4, {}, 'is it a date? (format: "%Y%m%d%H")'),
        (["11/25/1017"] * 4, {"format": "%m/%d/%Y"}, "one of 1017: is the format '%m/%d/%Y' right?"),
        ([7, 8, 9, 10], {}, "for example one of 1970"),
    ],
)
def test_times_of_impossible_years_are_told_with_what_would_make_them_likely(
    values: list[Any], options: dict[str, Any], said: str
) -> None:
    (warning,) = warnings(values, **options)
    assert warning.startswith("features.ts: ")
    assert said in warning


@pytest.mark.parametrize(
    "values", [[1511568000] * 4, [1511568000, 1511568000, 7, None], ["2017-11-25"] * 4, [None] * 4, [631152000] * 4]
)
def test_times_that_are_mostly_likely_or_missing_draw_no_warning(values: list[Any]) -> None:
    assert warnings(values) == []
