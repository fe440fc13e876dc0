"""Every method from a configuration to a bundle, on a log whose tables are most of the model."""

import csv
import io
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import recsys
from recsys.config import load_config
from recsys.search.methods import METHODS
from recsys.search.outputs import SearchResult
from tests.search.small_search import run
from tests.training.logs import write_config

pytestmark = pytest.mark.slow

FEATURES = {"user": {"type": "id"}, "item": {"type": "id"}, "ts": {"type": "datetime", "parts": ["hour"]}}


def write_wide_log(folder: Path, users: int = 2500, num_rows: int = 6000) -> Path:
    """Write a log of many users, of whom most are seen twice, and return its configuration."""
    folder.mkdir(exist_ok=True)
    draw = np.random.default_rng(1)
    for split, rows in {"train": num_rows, "valid": 1500, "test": 1500}.items():
        user = draw.integers(0, users, rows)
        item = draw.integers(0, 40, rows)
        chance = 1 / (1 + np.exp(-2.0 * np.where(item % 2 == 0, 1, -1)))
        columns = {"user": user, "item": item, "ts": 1_600_000_000 + 3000 * item, "click": draw.random(rows) < chance}
        frame = pl.DataFrame(columns).with_columns(pl.col("click").cast(pl.Int8))
        frame.write_parquet(folder / f"{split}.parquet")
    model = {"tower": "mlp", "dim": 16, "mlp": [8]}
    options = {"features": FEATURES, "model": model, "group": None, "train": {"epochs": 2, "batch_size": 512}}
    return write_config(folder / "config.yaml", **options)


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_wide_log(tmp_path_factory.mktemp("wide"))


@pytest.fixture(scope="module", params=list(METHODS))
def found(request: pytest.FixtureRequest, config: Path) -> SearchResult:
    """What a method finds for a quarter of the bytes."""
    return run(config, config.parent / request.param, method=request.param, budget=0.25)


def test_the_model_that_was_trained_has_the_bytes_that_were_promised(found: SearchResult) -> None:
    rows = csv.DictReader(io.StringIO((found.folder / "pareto.csv").read_text()))
    promised = {row["name"]: int(row["serving_bytes"]) for row in rows if row["source"] == "supernet"}
    assert found.best.serving_bytes == promised[found.best.name]
    assert found.best.serving_bytes <= 0.25 * found.baseline.serving_bytes


def test_what_was_found_is_served_in_16_bits(found: SearchResult) -> None:
    tables = load_config(found.best_yaml).tables.values()
    assert {(table.precision, table.served_precision) for table in tables} == {("fp32", "fp16")}


def test_every_point_of_the_front_is_a_configuration(found: SearchResult) -> None:
    files = [found.folder / "front" / f"{one.name}.yaml" for one in found.front]
    assert [load_config(path).label for path in files] == ["click"] * len(files)


def test_the_bundle_is_smaller_by_what_was_promised(tmp_path: Path) -> None:
    write_wide_log(tmp_path, users=50_000, num_rows=20_000)
    model = {"tower": "mlp", "dim": 8, "mlp": [8]}
    features = {name: FEATURES[name] for name in ("user", "item")}
    options = {"features": features, "model": model, "group": None, "train": {"epochs": 1}}
    own = write_config(tmp_path / "half.yaml", **options)
    found = run(own, tmp_path / "half", method="tests.search.small_search:Halves", budget=0.3)
    assert (found.best.name, found.best.serving_bytes * 4) == ("halves", found.baseline.serving_bytes)
    sizes = {}
    for name, yaml in {"before": own, "after": found.best_yaml}.items():
        places = {"data_dir": tmp_path, "cache_dir": tmp_path / "cache", "runs_dir": tmp_path / "runs"}
        trained = recsys.train(yaml, name=name, device="cpu", log=None, **places)
        trained.export(tmp_path / f"bundle-{name}")
        sizes[name] = (tmp_path / f"bundle-{name}" / "model.pt").stat().st_size
    promised = found.baseline.serving_bytes - found.best.serving_bytes
    assert sizes["before"] - sizes["after"] == pytest.approx(promised, rel=0.02)
