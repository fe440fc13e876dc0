import pytest

from recsys.config import dump
from recsys.config.calibrations import CustomCalibration
from recsys.config.calibrations.isotonic import IsotonicSection
from recsys.config.calibrations.none import NoCalibrationSection
from tests.config.loading import Load, Problems

HEAD = "label: y\nfeatures: {a: {type: id}}\n"


@pytest.mark.parametrize("text", ["", "calibration: none", "calibration: {method: none}", "calibration: {}"])
def test_without_a_calibration_there_is_none(text: str, load: Load) -> None:
    config = load(f"{HEAD}{text}\n")
    assert config.calibration == NoCalibrationSection()
    assert not config.calibration.is_fitted
    assert load(dump(config)) == config


@pytest.mark.parametrize("text", ["isotonic", "{method: isotonic}"])
def test_a_calibration_is_a_name_or_a_mapping(text: str, load: Load) -> None:
    config = load(f"{HEAD}calibration: {text}\n")
    assert config.calibration == IsotonicSection(method="isotonic")
    assert config.calibration.is_fitted
    assert "calibration:\n  method: isotonic\n" in dump(config)


def test_a_calibration_of_the_users_own_is_named_by_its_class_and_keeps_its_keys(load: Load) -> None:
    found = load(f"{HEAD}calibration: {{method: 'no_such_module:Beta', bins: 2}}\n").calibration
    assert isinstance(found, CustomCalibration)
    assert found.parameters() == {"bins": 2}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("isotone", "calibration.method: must be one of none, platt, isotonic, package.module:Class, got 'isotone'"),
        ("{method: platt, bins: 2}", "calibration.bins: unknown key for method platt"),
        ("3", "calibration: expected a mapping such as {method: none}, got 3"),
        ("null", "calibration: expected a mapping"),
    ],
)
def test_what_is_no_calibration_is_refused_with_its_place(text: str, message: str, problems: Problems) -> None:
    (_, found) = problems(f"{HEAD}calibration: {text}\n")
    assert message in found
