import pytest

from recsys.features.column_profile import ColumnProfile
from tests.suggest.columns import column, ints, spec


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (ints("ts", 1.5e9, 1.6e9, ("1500000000",)), {"parts": ["hour", "weekday"]}),
        (ints("ts", 1.5e12, 1.6e12, ("1500000000000",)), {"parts": ["hour", "weekday"], "unit": "ms"}),
        (ints("seen_by", 1.5e15, 1.6e15, ("1500000000000000",)), {"parts": ["hour", "weekday"], "unit": "us"}),
        (ints("hour", 14102100, 14103023, ("14102100",)), {"parts": ["hour", "weekday"], "format": "%y%m%d%H"}),
        (ints("hour", 2014102100, 2014103023, ("2014102100",)), {"parts": ["hour", "weekday"], "format": "%Y%m%d%H"}),
        (ints("ts", 1.5e18, 1.6e18, ("1500000000000000000",)), {"parts": ["hour", "weekday"], "unit": "ns"}),
        (ints("day", 20141021, 20141030, ("20141021",)), {"parts": ["weekday", "day"], "format": "%Y%m%d"}),
        (column("when", "String", ("2014-10-21 13:00:00",)), {"parts": ["hour", "weekday"]}),
        (column("when", "String", ("2014-10-21",)), {"parts": ["weekday", "day"]}),
        (column("when", "String", ("21.10.2014",)), {"parts": ["weekday", "day"], "format": "%d.%m.%Y"}),
        (column("when", "Date", ("2014-10-21",)), {"parts": ["weekday", "day"]}),
        (column("when", "Datetime(time_unit='us', time_zone='UTC')", ()), {"parts": ["hour", "weekday"]}),
    ],
)
def test_times_are_recognised(one: ColumnProfile, expected: dict[str, object]) -> None:
    assert spec(one) == {"type": "datetime", **expected}


def test_times_may_differ_in_every_row() -> None:
    assert spec(ints("ts", 1.5e9, 1.6e9, ("1500000000",), num_distinct=10_000))["type"] == "datetime"


def test_ids_in_the_range_of_times_are_ids() -> None:
    assert spec(ints("user_id", 1.5e9, 1.6e9, ("1500000000",)))["type"] == "id"
    assert spec(ints("hash", 7e8, 4e9, ("1500000000",)))["type"] == "id"
    assert spec(ints("model", 20141021, 20141030, ("20141021",)))["type"] == "id"
