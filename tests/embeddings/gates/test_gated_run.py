"""A gated model is a run like any other: it is trained, interrupted, resumed, loaded and exported."""

from pathlib import Path
from typing import Any

import pytest

from recsys.config import Config
from recsys.export.run import export_run
from tests.embeddings.gates.tables import GATED
from tests.training.interruptions import STEPS, check_same, interrupted_in_batch
from tests.training.logs import make_config, run, write_log

pytestmark = pytest.mark.slow

GATES: dict[str, Any] = {
    "optembed": {"kind": "optembed", "half_life": 1.0},
    "autodim": "autodim",
    "pep": "pep",
}
"""Those with parameters, draws or statistics of their own."""


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_log(tmp_path_factory.mktemp("log"))


def config_of(gate: Any, folder: Path) -> Config:
    tables = {name: {"features": [name], "scheme": GATED, "gate": gate, "blocks": [4, 9]} for name in ("user", "item")}
    return make_config(folder, tables=tables, train={"epochs": 2, "checkpoint_minutes": 0.0})


@pytest.mark.parametrize("gate", GATES.values(), ids=GATES)
def test_a_gated_run_resumes_to_the_same_bits_and_exports_what_it_scores(gate: Any, log: Path, tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    config = config_of(gate, tmp_path / "config")
    run(log, whole, config)
    with interrupted_in_batch(STEPS + 3):
        run(log, cut, config)
    run(log, cut, config, resume=True)
    check_same(cut, whole)
    export_run(whole, tmp_path / "bundle")  # which compares the scores of the bundle with the model's
