import pytest

from recsys.features.column_profile import ColumnProfile
from tests.suggest.columns import column


@pytest.mark.parametrize(
    ("one", "kind"),
    [
        (column("a", "String", ("x",)), "text"),
        (column("a", "Categorical", ("x",)), "text"),
        (column("a", "String", ("7", "8"), minimum=1.0, maximum=9.0), "int"),
        (column("a", "String", ("7", "8"), minimum=1.0, maximum=9.5), "float"),
        (column("a", "String", ("01234", "90210"), minimum=1234.0, maximum=99999.0), "text"),
        (column("a", "UInt8", ("7",), minimum=1.0, maximum=9.0), "int"),
        (column("a", "Float32", ("7.0",), minimum=1.0, maximum=9.0), "float"),
        (column("a", "Boolean", ("True",), minimum=0.0, maximum=1.0), "bool"),
        (column("a", "Date", ("2014-10-21",)), "time"),
        (column("a", "Datetime(time_unit='us', time_zone=None)", ("2014-10-21 00:00:00",)), "time"),
        (column("a", "Time", ("00:00:00",)), "other"),
        (column("a", "List(Int64)", ("7",), minimum=1.0, maximum=9.0), "int list"),
        (column("a", "List(String)", ("x",)), "text list"),
        (column("a", "List(Float64)", ("0.1",), minimum=0.0, maximum=1.0), "other"),
        (column("a", "List(Float64)", ("1.0",), minimum=0.0, maximum=1.0), "int list"),
        (column("a", "List(Boolean)", ("True",), minimum=0.0, maximum=1.0), "int list"),
        (column("a", "Struct({'x': Int64})", ()), "other"),
    ],
)
def test_kinds_do_not_depend_on_how_values_are_stored(one: ColumnProfile, kind: str) -> None:
    assert one.kind == kind


def test_entries_have_a_kind() -> None:
    assert column("a", "String", ("1|2", "3"), holds_integers=True).entry_kind == "int"
    assert column("a", "String", ("x|2", "3|y")).entry_kind == "text"
    assert column("a", "List(String)", ("x",)).entry_kind == "text"
