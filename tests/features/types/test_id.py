from tests.suggest.columns import column, spec


def test_text_and_flags_are_ids() -> None:
    assert spec(column("city", "String", ("paris", "rome"))) == {"type": "id"}
    assert spec(column("is_new", "Boolean", ("True",), num_distinct=2, minimum=0.0, maximum=1.0)) == {"type": "id"}


def test_ids_with_very_many_values_drop_those_seen_once() -> None:
    many = column("device", "String", ("a1",), num_rows=1_000_000, num_distinct=60_000)
    assert spec(many) == {"type": "id", "min_count": 2}


def test_whole_floats_called_id_are_ids() -> None:
    assert spec(column("shop_id", "Float64", ("3.0", "4.0"), minimum=1.0, maximum=9000.0)) == {"type": "id"}
    assert spec(column("shop_id", "Float64", ("3.5", "4.0"), minimum=1.0, maximum=9000.0))["type"] == "number"


def test_a_value_or_none_is_a_feature() -> None:
    assert spec(column("coupon", "String", ("x",), num_nulls=400, num_distinct=1)) == {"type": "id"}
