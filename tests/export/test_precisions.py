"""Tables in fewer bits: what is asked for, what a tolerance chooses, and what the bundle says of it."""

import json
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import recsys
from recsys.errors import DataError, ExportError
from recsys.evaluation import auc
from recsys.export.precisions import Measured, Precisions, asked_precisions, choose_precisions
from recsys.progress import no_log
from tests.export.models import Made, make
from tests.export.rows import clicks, yaml

TABLES = """
label: clicked
features:
  user: {type: id}
  item: {type: id}
  shop: {type: id}
  items: {type: sequence, of: item, max_len: 3}
tables:
  people: {features: [user], dim: 16}
  things: {features: [item], dim: 16}
  places: {features: [shop], dim: 16, scheme: dpq, parts: 2, choices: 4}
model: {tower: din, dim: 16, attention: [4], mlp: [4]}
"""


@pytest.fixture
def mixed(tmp_path: Path) -> Made:
    """Return a model two of whose tables have rows."""
    return make(TABLES, clicks(100), tmp_path)


def asked(made: Made, **precisions: str) -> Precisions:
    return asked_precisions(made.layout, made.weights, precisions)  # type: ignore[arg-type]


def test_a_name_goes_before_all_and_only_tables_with_rows_are_answered(mixed: Made) -> None:
    assert asked(mixed) == {"people": "fp32", "things": "fp32"}
    assert asked(mixed, **{"*": "int8", "things": "fp16"}) == {"people": "int8", "things": "fp16"}


@pytest.mark.parametrize(
    ("name", "precision", "problem"),
    [
        ("peple", "int8", "tables: there is no table 'peple'; did you mean 'people'?"),
        ("places", "int8", "tables: places: scheme dpq keeps no rows of floats that could be int8"),
        ("people", "int4", "tables: people: must be one of fp32, fp16, int8, got 'int4'"),
        ("*", "int4", "tables: must be one of fp32, fp16, int8, got 'int4'"),
    ],
)
def test_what_cannot_be_is_named(mixed: Made, name: str, precision: str, problem: str) -> None:
    with pytest.raises(ExportError, match=re.escape(problem)):
        asked(mixed, **{name: precision})


LOSSES = {"fp32": 0.0, "fp16": 0.25, "int8": 1.0}
SIZES = {"fp32": 400, "fp16": 200, "int8": 120}


def fake(weights: Mapping[str, float]) -> "object":
    """Return a measurement in which each table loses so much in 8 bits, and a quarter of it in 16."""

    def measured(precisions: Precisions) -> Measured:
        loss = sum(weights[name] * LOSSES[precision] for name, precision in precisions.items())
        sizes = {name: SIZES[precision] for name, precision in precisions.items()}
        return Measured(precisions, sizes, {"click": 0.8 - loss, "buy": 0.7 + loss})

    return measured


@pytest.mark.parametrize(
    ("tolerance", "expected"),
    [
        (None, {"a": "int8", "b": "int8", "c": "int8"}),
        (0.0012, {"a": "int8", "b": "int8", "c": "int8"}),
        (0.00051, {"a": "int8", "b": "fp16", "c": "int8"}),
        (0.00036, {"a": "fp16", "b": "fp16", "c": "int8"}),
        (0.0001, {"a": "fp16", "b": "fp32", "c": "fp16"}),
        (0.0, {"a": "fp32", "b": "fp32", "c": "fp32"}),
    ],
)
def test_the_tables_that_lose_most_get_more_bits(tolerance: float | None, expected: dict[str, str]) -> None:
    lines: list[str] = []
    measured = fake({"a": 0.0002, "b": 0.0008, "c": 0.0001})
    all_int8: Precisions = {"a": "int8", "b": "int8", "c": "int8"}
    _, found = choose_precisions(measured, all_int8, tolerance, lines.append)  # type: ignore[arg-type]
    assert found.precisions == expected
    assert lines[0] == "as trained: tables of 1.2 kB, valid AUC 0.800000, 0.700000"
    assert lines[1] == "all tables int8: tables of 360 B, valid AUC 0.798900, 0.701100 (loss 0.001100)"


def test_a_tolerance_needs_an_auc() -> None:
    def measured(precisions: Precisions) -> Measured:
        return Measured(precisions, {"a": 1}, {"click": float("nan")})

    with pytest.raises(ExportError, match="max-auc-loss: the validation rows have no AUC"):
        choose_precisions(measured, {"a": "int8"}, 0.1, no_log)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> recsys.Run:
    """Return a run with a wide table."""
    folder = tmp_path_factory.mktemp("data")
    for seed, split in enumerate(["train", "valid", "test"], start=1):
        clicks(600, seed=seed).with_columns(user=pl.arange(600, eager=True) * seed % 500).write_parquet(
            folder / f"{split}.parquet"
        )
    path = folder / "shop.yaml"
    data = "data: {train: train.parquet, valid: valid.parquet, test: test.parquet}\n"
    path.write_text(yaml("din").replace("dim: 8", "dim: 24") + data + "train: {epochs: 1, batch_size: 64}\n")
    return recsys.train(path, data_dir=folder, cache_dir=folder / "cache", runs_dir=folder / "runs", device="cpu")


@pytest.mark.slow
def test_an_int8_bundle_is_smaller_by_what_it_says_and_its_golden_rows_are_its_own_scores(
    run: recsys.Run, tmp_path: Path
) -> None:
    lines: list[str] = []
    run.export(tmp_path / "fp32", log=lines.append)
    assert lines == []
    bundle = run.export(tmp_path / "int8", tables="int8", cache_dir=tmp_path / "cache", log=lines.append)
    said = json.loads((tmp_path / "int8" / "signature.json").read_text())["tables"]
    things = said["tables"]["things"]
    num_rows = things["bytes_as_trained"] // (4 * 24)
    assert things == {
        "scheme": "full",
        "precision": "int8",
        "bytes": num_rows * (24 + 8),
        "bytes_as_trained": num_rows * 4 * 24,
    }
    saved = sum(table["bytes_as_trained"] - table["bytes"] for table in said["tables"].values())
    sizes = [(tmp_path / name / "model.pt").stat().st_size for name in ("fp32", "int8")]
    assert sizes[0] - sizes[1] == pytest.approx(saved, abs=4_000)
    golden = [
        pl.read_parquet(tmp_path / name / "golden.parquet")["score.label"].to_numpy() for name in ("fp32", "int8")
    ]
    assert np.abs(golden[0] - golden[1]).max() == said["golden_difference"] > 1e-6
    assert lines[-1].startswith("scores of golden rows differ from those of training by up to ")
    assert said["valid_auc_as_trained"] == pytest.approx({"label": run.metrics["valid.auc"]}, abs=1e-5)
    valid = run.predictions("valid")
    raw = pl.read_parquet(Path(run.path).parents[1] / "valid.parquet")
    scores = bundle.predict(raw)["score"]
    assert np.abs(scores - valid["score"]).max() > 1e-6
    assert said["valid_auc"]["label"] == pytest.approx(auc(scores, valid["label"]), abs=1e-9)


@pytest.mark.slow
def test_without_its_validation_rows_a_run_is_exported_unless_there_is_a_tolerance(
    run: recsys.Run, tmp_path: Path
) -> None:
    lines: list[str] = []
    (tmp_path / "empty").mkdir()
    elsewhere = {"data_dir": tmp_path / "empty", "cache_dir": tmp_path / "cache"}
    run.export(tmp_path / "bundle", tables={"things": "fp16"}, log=lines.append, **elsewhere)
    assert lines[0].startswith("the AUC is not measured: ")
    with pytest.raises(DataError, match=r"train\.parquet"):
        run.export(tmp_path / "other", max_auc_loss=0.01, **elsewhere)
    assert not (tmp_path / "other").exists()
