"""Every number of every section has a largest value, and values at the edge are problems at once."""

import time

import pytest

from recsys.config import resolve
from recsys.config.load import parse_config
from recsys.errors import ConfigError
from tests.config.edges import EVIL, SCHEMA, Spot, keys, numbers, spots
from tests.config.loading import Problems

SPOTS = list(spots())


def test_every_number_has_a_smallest_and_a_largest_value() -> None:
    found = dict(numbers(SCHEMA))
    assert len(found) > 60
    for path, schema in found.items():
        assert {"maximum", "exclusiveMaximum", "enum"} & schema.keys(), path
        assert {"minimum", "exclusiveMinimum", "enum"} & schema.keys(), path


def test_every_section_of_the_schema_is_tried() -> None:
    own = {
        "CustomCalibration",
        "CustomFeature",
        "CustomLoss",
        "CustomModel",
        "CustomTable",
    }  # of users, whose keys nobody knows
    assert {spot.schema for spot in SPOTS} == set(SCHEMA["$defs"]) - own


@pytest.mark.parametrize("spot", SPOTS, ids=lambda spot: f"{'.'.join(spot.path)}-{spot.schema}")
def test_any_value_of_any_key_is_resolved_or_a_problem_at_once(spot: Spot) -> None:
    resolve(parse_config(spot.config()), ["a", "b", "x", "y", "t", "h"])
    for key in keys(spot):
        for name, value in EVIL.items():
            began = time.process_time()
            try:
                resolve(parse_config(spot.config(**{key: value})), ["a", "b", "x", "y", "t", "h"])
            except ConfigError as error:
                first, problem, *_ = str(error).splitlines()
                assert first.endswith("in the configuration"), (key, name)
                assert len(problem) < 1000, (key, name)
            assert time.process_time() - began < 1, (key, name)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("tables: {t: {features: [a], scheme: hash, rows: 1%s}}" % ("0" * 30), "at most 1000000000000, got 10000"),
        ("tables: {t: {features: [a], scheme: hash, budget: %sMB}}" % ("9" * 400), "at most 1,000,000TB, got '999"),
        ("tables: {t: {features: [a], scheme: hash, budget: 1%s}}" % ("0" * 400), "in (0, 1]; got 1000000"),
        ("tables: {t: {features: [a], scheme: tt_rec, rank: 1000000000}}", "must be at most 4096, got 1000000000"),
        ("tables: {t: {features: [a], scheme: unified, rows: 9, lookups: 1000000}}", "must be at most 64, got 1000000"),
        ("tables: {t: {features: [a], scheme: dhe, width: 16384, layers: 64}}", "must make at most 1,000,000,000 weig"),
        ("model: {mlp: [16384, 16384, 16384, 16384, 16384]}", "must make at most 1,000,000,000 weights between layers"),
        ("train: {dense_optimizer: {lr: 1e300}}", "must be at most 1e+38, got 1e+300"),
        ("train: {batch_size: 9223372036854775808}", "must be at most 16777216, got 9223372036854775808"),
        ("train: {dense_optimizer: {lr: 1%s}}" % ("0" * 400), "expected a number of 64 bits, got 1000000"),
    ],
)
def test_the_message_states_the_largest_value(line: str, problem: str, problems: Problems) -> None:
    (found,) = problems(f"label: y\nfeatures: {{a: {{type: id}}}}\n{line}\n")[1:]
    assert found.startswith("shop.yaml:3: ")
    assert problem in found
