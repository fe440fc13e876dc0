import pytest
from ruamel.yaml import YAML

from recsys.config import json_schema

GOOD = [
    "{label: y, features: {a: {type: id}, 'C*': {type: number}}}",
    "{include: shop.yaml, train: {precision: 32}}",
    "{include: [a.yaml, b.yaml], model: {dim: 8}}",
    "{label: {a: x}, features: {a: {type: id, vocabulary: [1, b]}}, tables: {t: {features: [a]}}}",
    "{label: y, features: {a: {type: id}}, tables: {t: {features: [a], scheme: m:C, k: 1}}, model: {tower: m:C, k: 1}}",
]
BAD = [
    "{label: y}",
    "{label: y, features: {}}",
    "{label: y, features: {a: {type: idd}}}",
    "{label: y, features: {a: {type: number, quantiles: 3}}}",
    "{include: a, labl: y}",
    "{include: 3}",
    "{include: a, tables: {t: {features: [a], dim: 10}}}",
    "{include: a, tables: {t: {features: [a], scheme: hash}}}",
    "{include: a, model: {heads: 3}}",
    "{include: a, train: {epochs: 0}}",
]


@pytest.mark.parametrize(("text", "is_good"), [*((t, True) for t in GOOD), *((t, False) for t in BAD)])
def test_the_schema_tells_good_files_from_bad_ones(text: str, is_good: bool) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    value = YAML(typ="safe", pure=True).load(text)
    assert jsonschema.Draft202012Validator(json_schema()).is_valid(value) == is_good


def test_the_schema_is_one() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    jsonschema.Draft202012Validator.check_schema(json_schema())
    assert json_schema()["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_the_docstrings_of_fields_are_descriptions() -> None:
    schema = json_schema()
    bucket = schema["$defs"]["BucketFeature"]
    assert bucket["properties"]["quantiles"]["description"] == (
        "Number of buckets of about equal size on the training split."
    )
