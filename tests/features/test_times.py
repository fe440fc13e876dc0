from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import numpy as np
import polars as pl
import pytest

from recsys.config import DatetimeFeature
from recsys.config.feature_types import PART_SIZES, DatetimePart
from recsys.features.fingerprint import NULL_KEY
from recsys.features.times import TICKS, calendar_time, part_ids, to_seconds
from recsys.features.values import BadColumn, BadValue

FIVE = int(datetime(2014, 10, 21, 5, tzinfo=UTC).timestamp())
MIDNIGHT = FIVE - 5 * 3600


def seconds(series: pl.Series, **options: Any) -> list[int]:
    return to_seconds(series, DatetimeFeature(type="datetime", **options)).to_list()


@pytest.mark.parametrize(
    ("series", "options", "expected"),
    [
        (pl.Series(["14102105", None, ""]), {"format": "%y%m%d%H"}, [FIVE, NULL_KEY, NULL_KEY]),
        (pl.Series([14102105, None]), {"format": "%y%m%d%H"}, [FIVE, NULL_KEY]),
        (pl.Series(["2014-10-21 05:30"]), {"format": "%Y-%m-%d %H:%M"}, [FIVE + 1800]),
        (pl.Series(["21/10/2014"]), {"format": "%d/%m/%Y"}, [MIDNIGHT]),
        (pl.Series(["2014-10-21T07:00:00+0200"]), {"format": "%Y-%m-%dT%H:%M:%S%z"}, [FIVE]),
        (pl.Series([FIVE, None, -1]), {}, [FIVE, NULL_KEY, -1]),
        (pl.Series([FIVE * 1000 + 999, -1]), {"unit": "ms"}, [FIVE, -1]),
        (pl.Series([FIVE * 1_000_000 + 5]), {"unit": "us"}, [FIVE]),
        (pl.Series([FIVE * 10**9 + 999_999_999]), {"unit": "ns"}, [FIVE]),
        (pl.Series([str(FIVE * 10**9 - 1), f"{FIVE}000000000.0"]), {"unit": "ns"}, [FIVE - 1, FIVE]),
        (pl.Series([FIVE + 0.75, float("nan")]), {}, [FIVE, NULL_KEY]),
        (pl.Series([str(FIVE), "2014-10-21 05:00:00", "2014-10-21T05:00:00"]), {}, [FIVE] * 3),
        (pl.Series([date(2014, 10, 21), None]), {}, [MIDNIGHT, NULL_KEY]),
        (pl.Series([datetime(2014, 10, 21, 5, 0, 0, 999_999)]), {}, [FIVE]),
        (pl.Series([datetime(1969, 12, 31, 23, 59, 59, 500_000)]), {}, [-1]),
        (pl.Series([datetime(2014, 10, 21, 5)], dtype=pl.Datetime("ns")), {}, [FIVE]),
        (pl.Series([datetime(2014, 10, 21, 7, tzinfo=timezone(timedelta(hours=2)))]), {}, [FIVE]),
        (pl.Series([None]), {}, [NULL_KEY]),
        (pl.Series(["2014-10-21"], dtype=pl.Categorical), {}, [MIDNIGHT]),
        (pl.Series([b"14102105"]), {"format": "%y%m%d%H"}, [FIVE]),
        (pl.Series([20141021.0, None]), {"format": "%Y%m%d"}, [MIDNIGHT, NULL_KEY]),
        (pl.Series([Decimal(20141021)]), {"format": "%Y%m%d"}, [MIDNIGHT]),
        (pl.Series([Decimal(FIVE), Decimal("-0.5")]), {}, [FIVE, -1]),
        (pl.Series([2**62], dtype=pl.Datetime("ms")), {}, [2**62 // 1000]),
    ],
)
def test_times_of_every_form_become_unix_seconds(
    series: pl.Series, options: dict[str, Any], expected: list[int]
) -> None:
    assert seconds(series, **options) == expected


def test_a_text_of_another_form_is_shown() -> None:
    with pytest.raises(BadValue, match="expected a time in the format '%Y', got 'soon'") as error:
        seconds(pl.Series(["2014", "soon"]), format="%Y")
    assert error.value.position == 1


def test_a_text_without_a_format_may_be_iso_8601_only() -> None:
    with pytest.raises(BadValue, match=r"expected a Unix time or an ISO 8601 date .*, got '21.10.14'"):
        seconds(pl.Series(["21.10.14"]))


SPELLINGS = {
    "2014-10-21": MIDNIGHT,
    "2014-10-21 05:00": FIVE,
    "2014-10-21 05:00:00": FIVE,
    "2014-10-21T05:00:00": FIVE,
    "2014-10-21T05:00:00.9": FIVE,
    "2014-10-21T05:00:00Z": FIVE,
    "2014-10-21T07:00:00+02:00": FIVE,
    "2014-10-21 06:00:00+01": FIVE,
    "2014/10/21 05:00": FIVE,
    "20141021T050000": FIVE,
    str(FIVE): FIVE,
    "": NULL_KEY,
}


def test_texts_of_several_forms_mean_the_same_in_any_order() -> None:
    for texts in (list(SPELLINGS), list(reversed(SPELLINGS)), *([text] for text in SPELLINGS)):
        assert seconds(pl.Series(texts)) == [SPELLINGS[text] for text in texts]


@pytest.mark.parametrize("text", ["25/11/2017", "01/02/2017", "25-11-2017", "25.11.2017", "2017-11", "2017-02-30"])
@pytest.mark.parametrize("others", [[], ["2014-10-21"], ["25/11/2017"]])
def test_a_date_in_another_order_needs_a_format_whatever_stands_before_it(text: str, others: list[str]) -> None:
    with pytest.raises(BadValue, match="another form needs `format`"):
        seconds(pl.Series([*others, text]))


@pytest.mark.parametrize("dtype", [pl.Datetime("ms"), pl.Datetime("us"), pl.Datetime("ns"), pl.Datetime("ms", "UTC")])
def test_times_keep_their_order_in_every_unit_though_the_unit_cannot_express_them(dtype: pl.DataType) -> None:
    stored = [-(2**63) + 1, -(2**40), -1, 0, 1, 2**40, 2**63 - 1]
    for unit in TICKS:
        found = calendar_time(pl.Series(stored).cast(dtype), unit).to_list()
        assert found == sorted(found)
        assert (found[0] < 0, found[3], found[-1] > 0) == (True, 0, True)
    assert calendar_time(pl.Series([date(1970, 1, 3)]), "ms").to_list() == [2 * 86_400_000]


def test_a_number_that_is_not_whole_has_no_format() -> None:
    with pytest.raises(BadValue, match=r"expected a whole number, got 20141021\.5"):
        seconds(pl.Series([20141021.5]), format="%Y%m%d")


def test_booleans_are_no_times() -> None:
    with pytest.raises(BadColumn, match="expected points in time, the column holds Boolean"):
        seconds(pl.Series([True]))


def test_parts_agree_with_the_calendar_of_python() -> None:
    times = np.random.default_rng(0).integers(-(10**9), 4 * 10**9, 2000)
    moments = [datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=int(time)) for time in times]
    expected: dict[DatetimePart, list[int]] = {
        "minute": [moment.minute for moment in moments],
        "hour": [moment.hour for moment in moments],
        "weekday": [moment.weekday() for moment in moments],
        "weekend": [int(moment.weekday() >= 5) for moment in moments],
        "day": [moment.day - 1 for moment in moments],
        "month": [moment.month - 1 for moment in moments],
    }
    for part, values in expected.items():
        ids = part_ids(times, part)
        assert (ids - 1).tolist() == values, part
        assert sorted(set(ids.tolist())) == list(range(1, PART_SIZES[part])), part


@pytest.mark.parametrize("part", ["minute", "hour", "weekday", "weekend", "day", "month"])
def test_a_missing_time_has_id_0(part: DatetimePart) -> None:
    assert part_ids(np.array([NULL_KEY]), part).tolist() == [0]
