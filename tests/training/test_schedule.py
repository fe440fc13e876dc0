"""The bi-level search of recsys/training/README.md, as the user's file that it shows."""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from recsys.config import Config
from recsys.run_folder import RunFolder
from recsys.training.build import load_run
from recsys.training.run import TrainResult
from tests.pages import page
from tests.training.interruptions import STEPS, check_same, interrupted_in_batch
from tests.training.logs import make_config, run

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def search(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    """The module that the page shows."""
    folder = tmp_path_factory.mktemp("plug_ins")
    (block,) = (one for one in page("recsys/training/README.md").blocks if one.language == "python")
    (folder / "bilevel_search.py").write_text(block.text)
    sys.path.insert(0, str(folder))
    yield importlib.import_module("bilevel_search")
    sys.path.remove(str(folder))


@pytest.fixture(scope="module")
def config(search: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Config:
    tables = {"all": {"features": ["user", "item"], "scheme": f"{search.__name__}:Gated"}}
    train = {"epochs": 2, "checkpoint_minutes": 0.0}
    return make_config(tmp_path_factory.mktemp("config"), tables=tables, train=train)


@pytest.fixture(scope="module")
def searched(search: ModuleType, config: Config, log: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainResult:
    return run(log, tmp_path_factory.mktemp("runs") / "searched", config, schedule=search.BilevelSchedule)


def gates_of(folder: Path) -> torch.Tensor:
    (scheme,) = load_run(folder, device=torch.device("cpu")).layout.schemes.values()
    gates: torch.Tensor = scheme.gates.clone()
    return gates


def test_gates_are_trained_by_the_bilevel_schedule_alone(
    searched: TrainResult, config: Config, log: Path, tmp_path: Path
) -> None:
    gates = gates_of(searched.folder)
    assert ((gates >= 0) & (gates <= 1)).all()
    assert (gates < 0.95).any()
    run(log, tmp_path / "plain", config)
    assert torch.equal(gates_of(tmp_path / "plain"), torch.ones(8))


@pytest.mark.parametrize("step", [4, STEPS + 2])
def test_an_interrupted_search_ends_as_if_it_had_not_been(
    step: int, search: ModuleType, searched: TrainResult, config: Config, log: Path, tmp_path: Path
) -> None:
    options: dict[str, Any] = {"schedule": search.BilevelSchedule}
    with interrupted_in_batch(step):
        run(log, tmp_path / "run", config, **options)
    run(log, tmp_path / "run", config, resume=True, **options)
    check_same(tmp_path / "run", searched.folder)
    assert torch.equal(gates_of(tmp_path / "run"), gates_of(searched.folder))
    assert RunFolder(tmp_path / "run").read_metrics()["epochs"] == 2
