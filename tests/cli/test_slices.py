import polars as pl
import pytest

from recsys.cli.slices import calibration_hint
from recsys.config import Config


def worst(column: str, *, by: str = "value", miscalibration: float = 0.2) -> pl.DataFrame:
    return pl.DataFrame({"column": [column], "by": [by], "miscalibration": [miscalibration]})


def config_with(calibration: object = "none") -> Config:
    features = {
        "version": {"type": "id", "column": "app"},
        "old": {"type": "id", "use": False},
        "price": {"type": "number"},
        "tags": {"type": "ids"},
    }
    return Config.model_validate({"label": "click", "features": features, "calibration": calibration})


@pytest.mark.parametrize(
    ("calibration", "method"), [("none", "isotonic"), ("isotonic", "isotonic"), ("platt", "platt")]
)
def test_the_worst_slice_of_a_feature_is_mended_by_curves_for_its_values(calibration: str, method: str) -> None:
    found = calibration_hint(worst("app"), config_with(calibration))
    assert found == f"`calibration: {{method: {method}, by: version}}` would give each value of app a curve of its own"


@pytest.mark.parametrize("column", ["country", "old", "price", "tags"])
def test_a_column_that_no_feature_tells_apart_might_be_one(column: str) -> None:
    found = calibration_hint(worst(column), config_with())
    assert found is not None
    assert found.startswith(f"no feature tells the values of {column} apart")


def test_where_nothing_is_to_be_mended_nothing_is_said() -> None:
    assert calibration_hint(worst("app"), config_with({"method": "platt", "by": "version"})) is None
    assert calibration_hint(worst("app", miscalibration=0), config_with()) is None
    assert calibration_hint(worst("app", by="training frequency"), config_with()) is None
    assert calibration_hint(worst("app").clear(), config_with()) is None
