"""A trained run is exported, and its bundle scores raw rows as TorchRec and FBGEMM did."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from recsys.config import load_config
from recsys.errors import DataError
from recsys.export import export_run
from recsys.serving import Scorer
from recsys.training.run import train
from tests.export.rows import clicks, yaml

pytestmark = pytest.mark.slow

TRAIN = """
data: {{train: train.parquet, valid: valid.parquet, test: test.parquet}}
train: {{epochs: 1, batch_size: 64, regularization: {{rows: {rows}}}}}
"""


@pytest.mark.parametrize(("model", "rows"), [("din", 0.0), ("mlp", 0.5)])
def test_the_bundle_of_a_run_scores_its_test_rows_as_the_run_did(model: str, rows: float, tmp_path: Path) -> None:
    for seed, split in enumerate(["train", "valid", "test"], start=1):
        clicks(600, seed=seed).write_parquet(tmp_path / f"{split}.parquet")
    (tmp_path / "run.yaml").write_text(yaml(model) + TRAIN.format(rows=rows))
    run = tmp_path / "run"
    config = load_config(tmp_path / "run.yaml")
    train(config, data_dir=tmp_path, cache_dir=tmp_path / "cache", folder=run, device="cpu")
    export_run(run, tmp_path / "bundle")
    scores = Scorer(tmp_path / "bundle").score(pl.read_parquet(tmp_path / "test.parquet"))
    trained = pl.read_parquet(run / "predictions" / "test.parquet")
    assert trained["score"].std() > 1e-3
    np.testing.assert_allclose(scores[:, 0], trained["score"], rtol=0, atol=1e-6)


def test_a_run_that_is_not_finished_is_not_exported(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not a run folder"):
        export_run(tmp_path, tmp_path / "bundle")
    (tmp_path / "config.yaml").touch()
    with pytest.raises(DataError, match=r"has no metrics\.json"):
        export_run(tmp_path, tmp_path / "bundle")
