import pytest

from recsys.config import Config, dump
from tests.config.loading import Load

EVERYTHING = r"""
label: {click: clicked, "NO": bought}
weight: w
group: "1"
features:
  user: {type: id, vocabulary: [NO, "1", "1e-3", "true", "", "a: b", "caf\u00e9", "two\nlines", " x"]}
  item: {type: id, min_count: 2, max_size: 9}
  state: {type: id, vocabulary: [1, -2, 9223372036854775807]}
  "C*": {type: id, vocabulary: open}
  "null": {type: ids, separator: "\t", max_len: 3, pooling: sum}
  clicks: {type: sequence, of: item, behaviour: b, separator: "|"}
  price: {type: bucket, boundaries: [-1, 0.5, 1e300]}
  age: {type: bucket, quantiles: 4, column: "1.5"}
  ts: {type: datetime, format: "%y%m%d%H"}
  n: {type: number, transform: log1p, normalize: minmax}
  pair: {type: cross, of: [user, item], max_size: 5}
tables:
  t: {features: [user], scheme: full}
  h: {features: ["C*"], scheme: hash, rows: 500_000}
  c: {features: [item], scheme: my.mod:Table, levels: [1, [2, x]], more: {a: null, b: 1e-8}}
data:
  train: [a.csv, b.csv]
  split: {by: time, column: ts, valid: 0.2, test: 0.1}
  format: csv
  separator: ";"
  header: false
  columns: [a, "2"]
train:
  early_stopping: null
  lr_schedule: {name: plateau, patience: 3}
  precision: bf16-mixed
  sparse_optimizer: {eps: 1e-10}
"""


@pytest.mark.parametrize(
    "model",
    [
        "{tower: lr}",
        "{dim: 8}",
        "{tower: mlp, mlp: [], dim: 8}",
        "{tower: autoint, heads: 4, scale: true, mlp: [9]}",
        "{tower: din, attention: [8], attention_softmax: true}",
        "{tower: my.mod:Tower, widths: [1, 2], nothing: null}",
    ],
)
def test_what_is_written_reads_as_what_it_was(model: str, load: Load) -> None:
    config = load(f"{EVERYTHING}\nmodel: {model}\n")
    assert load(dump(config)) == config


def test_fm_reads_as_what_it_was(load: Load) -> None:
    config = load("label: y\nfeatures: {a: {type: id}}\nmodel: {tower: fm, dim: 12}\n")
    assert load(dump(config)) == config


def test_defaults_are_written_and_absences_are_not() -> None:
    config = Config.model_validate({"label": "y", "features": {"a": {"type": "id"}}})
    lines = dump(config).splitlines()
    assert lines[:6] == ["label: y", "features:", "  a:", "    type: id", "    use: true", "    vocabulary: learnt"]
    assert "  tower: mlp" in lines
    assert "  mlp: [400, 400, 400]" in lines
    assert not any("null" in line for line in lines)


def test_configs_differ_by_what_they_say_and_not_by_where(load: Load) -> None:
    text = "label: y\nfeatures: {a: {type: id}}\n"
    assert load(text) == load("\n\n" + text)
    assert load(text) != load(text + "group: a\n")
