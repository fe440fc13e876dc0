from tests.suggest.columns import column, ints, spec


def test_skewed_numbers_are_read_as_logarithms() -> None:
    price = column("price", "Float64", ("3.5", "7.0"), minimum=0.0, maximum=90_000.0)
    share = column("share", "Float64", ("0.0", "0.2"), minimum=0.0, maximum=1.0)
    below = column("gain", "Float64", ("3.5", "7.0"), minimum=-800.0, maximum=9000.0)
    assert spec(price) == {"type": "number", "transform": "log1p", "normalize": "standard"}
    assert spec(share) == spec(below) == {"type": "number", "normalize": "standard"}


def test_integers_that_are_too_large_for_ids_are_numbers() -> None:
    large = ints("amounts", 1, 1e30, ("500000", "700000"), refused={"id": "expected an id"})
    assert spec(large)["type"] == "number"
