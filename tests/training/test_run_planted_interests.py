"""Whether attention finds what was planted, against the mean of the history, on logs of three seeds."""

from pathlib import Path
from typing import Any

import pytest

from recsys.config import load_config
from recsys.data.synthetic import generate
from recsys.training.run import train

MEAN_POOLING = """\
include: {log}/config.yaml
model: {{tower: mlp, dim: 16, mlp: [200, 80], activation: dice}}
"""


def auc_of(config: Path, log: Path, run: Path) -> float:
    trained = train(load_config(config), data_dir=log, cache_dir=run.parent / "cache", folder=run, log=lambda _: None)
    return trained.metrics["test.auc"]


@pytest.mark.proof
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_din_beats_mean_pooling_by_two_points_of_auc(seed: int, tmp_path: Path, capsys: Any) -> None:
    log = tmp_path / "log"
    best = generate(log, rows=200_000, seed=seed).bayes_auc["test"]
    pooled = tmp_path / "mean_pooling.yaml"
    pooled.write_text(MEAN_POOLING.format(log=log))
    din, mean = (auc_of(path, log, tmp_path / path.stem) for path in (log / "config.yaml", pooled))
    with capsys.disabled():
        print(f"\nseed {seed}: DIN {din:.4f}, mean pooling {mean:.4f}, difference {din - mean:+.4f}, best {best:.4f}")
    assert din - mean >= 0.02
