import pytest

from recsys.config import dump, resolve
from recsys.config.calibrations import CustomCalibration
from recsys.config.calibrations.isotonic import IsotonicSection
from recsys.config.calibrations.none import NoCalibrationSection
from recsys.errors import ConfigError
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


FEATURES = """\
label: y
features:
  app: {type: id}
  old: {type: id, use: false}
  price: {type: number}
  range: {type: bucket, column: price, quantiles: 4}
  tags: {type: ids}
  seen: {type: sequence, of: app}
  ts: {type: datetime, parts: [hour, weekday]}
  pair: {type: cross, of: [app, hour]}
  hour: {type: id}
  C*: {type: id}
  N*: {type: number}
"""
NAMES = "app, range, ts.hour, ts.weekday, pair, hour, C*"
POSSIBLE = f"must name a feature that is used and has one id a row; possible are {NAMES}; "


@pytest.mark.parametrize("by", ["app", "range", "ts.hour", "pair", "C7"])
@pytest.mark.parametrize("method", ["isotonic", "platt"])
def test_curves_are_told_apart_by_any_field_with_one_id_a_row(by: str, method: str, load: Load) -> None:
    config = load(f"{FEATURES}calibration: {{method: {method}, by: {by}}}\n")
    assert config.calibration.by == by
    assert load(dump(config)) == config
    assert f"calibration:\n  method: {method}\n  by: {by}\n" in dump(config)


@pytest.mark.parametrize(
    ("by", "reason"),
    [
        ("ap", "got 'ap'; did you mean 'app'?"),
        ("price", "'price' is a number: make it a bucket"),
        ("N1", "'N1' is a number: make it a bucket"),
        ("tags", "'tags' has any number of ids a row"),
        ("seen", "'seen' has any number of ids a row"),
        ("ts", "got 'ts'; name a part of it, such as ts.hour"),
        ("old", "'old' has `use: false`"),
        ("'C*'", "got the glob 'C*'"),
        ("3", "expected text, got 3"),
    ],
)
def test_any_other_name_is_refused_with_what_is_possible(by: str, reason: str, problems: Problems) -> None:
    (_, found) = problems(f"{FEATURES}calibration: {{method: isotonic, by: {by}}}\n")
    assert found.startswith("shop.yaml:14: calibration.by: ")
    assert reason in found
    assert (POSSIBLE in found) == (by != "3")


def test_without_a_possible_feature_the_message_says_so(problems: Problems) -> None:
    (_, found) = problems("label: y\nfeatures: {a: {type: number}}\ncalibration: {method: platt, by: b}\n")
    assert "there is none; got 'b'" in found


def test_a_calibration_that_fits_nothing_takes_no_feature(problems: Problems) -> None:
    (_, found) = problems(f"{FEATURES}calibration: {{by: app}}\n")
    assert "calibration.by: has no effect with method none, which fits no curve; leave it out" in found


def test_a_feature_that_cannot_be_read_is_no_second_problem(problems: Problems) -> None:
    (_, found) = problems("label: y\nfeatures: {a: {type: id, min_count: x}}\ncalibration: {method: platt, by: a}\n")
    assert "features.a.min_count" in found


def test_a_glob_that_does_not_match_the_name_is_found_with_the_columns(load: Load) -> None:
    config = load("label: y\nfeatures: {'C*': {type: id}}\ncalibration: {method: platt, by: C7}\n")
    assert resolve(config, ["y", "C7"]).config.calibration.by == "C7"
    with pytest.raises(ConfigError, match=r"calibration.by: must name .* possible are C1; got 'C7'"):
        resolve(config, ["y", "C1"])


def test_what_a_calibration_needs_cannot_be_left_out(load: Load) -> None:
    config = load(
        "label: y\nfeatures: {t: {type: datetime}, b: {type: id}}\ncalibration: {method: platt, by: t.hour}\n"
    )
    assert resolve(config, ["y", "t", "b"]).still_needed({"t"}) == {"t"}
