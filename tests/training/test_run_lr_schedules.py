"""Every schedule of the learning rates in every kind of training: it trains, ends, and resumes to the same bits."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from ruamel.yaml import YAML

from recsys.config import Config
from recsys.config.lr_schedules import LR_SCHEDULES
from recsys.data.prepare import prepare
from recsys.export.run import export_run
from recsys.run_folder import RunFolder
from recsys.search.methods.dnis import Dnis
from recsys.training.cape import make_schedule
from recsys.training.checkpoints import RunCheckpoints
from recsys.training.schedule import ScheduleFactory
from recsys.training.task import CtrTask
from tests.training.interruptions import STEPS, check_same, interrupted_in_batch, same_parameters
from tests.training.logs import clicks, epochs, make_config, run, steady, write_log

pytestmark = pytest.mark.slow

EPOCHS = 4
KINDS: dict[str, dict[str, Any]] = {
    "plain": {"tables": {"users": {"features": ["user"], "scheme": "int8"}}},
    "staged": {"tables": {"users": {"features": ["user"], "scheme": "dedup", "blocks": 9}}},
    "calibrated": {"train": {"calibrated": {"targets": "bins", "every": 2}}},
    "search": {},
}
"""Sections of a kind of training. All but the first have two stages, of which the first has half of the epochs."""


@pytest.fixture(scope="module")
def misleading(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log whose validation clicks are the opposite of its training clicks, so that epochs grow worse."""
    folder = write_log(tmp_path_factory.mktemp("misleading"))
    clicks(400, seed=1).with_columns(click=1 - pl.col("click")).write_parquet(folder / "valid.parquet")
    return folder


def training(kind: str, schedule: str, log: Path, folder: Path) -> tuple[Config, ScheduleFactory]:
    """Return the configuration of a kind of training, and who trains."""
    sections = KINDS[kind]
    train = {"epochs": EPOCHS // 2 if kind == "search" else EPOCHS, "lr_schedule": schedule}
    train |= {"early_stopping": {"metric": "logloss", "patience": 3}}
    config = make_config(folder, **sections | {"train": train | sections.get("train", {})})
    if kind == "search":
        return Dnis().supernet(prepare(config, log, log / "cache")), Dnis.schedule
    return config, make_schedule


@contextmanager
def killed_after_saving(step: int) -> Iterator[None]:
    """Raise in the batch with this number, from 1 over all epochs, after the one checkpoint within an epoch."""
    with pytest.MonkeyPatch.context() as patch, interrupted_in_batch(step, is_saved=True):
        patch.setattr(RunCheckpoints, "poll_due", lambda self: self.progress.step + 1 == step)
        yield


@pytest.mark.parametrize("kind", list(KINDS))
@pytest.mark.parametrize("schedule", list(LR_SCHEDULES))
def test_a_run_resumes_to_the_same_bits_in_each_stage(
    schedule: str, kind: str, misleading: Path, tmp_path: Path
) -> None:
    config, who = training(kind, schedule, misleading, tmp_path)
    whole = run(misleading, tmp_path / "whole", config, schedule=who)
    lines = epochs(whole.folder)
    assert len({line.get("stage") for line in lines}) == (1 if kind == "plain" else 2)
    rates = [line["lr"] for line in lines]
    if kind == "plain":
        assert (len(set(rates)) > 1) == (schedule != "constant")
    if kind == "search":
        assert rates[EPOCHS // 2 :] == [0]
    for resume, step in enumerate((3, 2 * STEPS + 5)):
        with killed_after_saving(step):
            run(misleading, tmp_path / "run", config, schedule=who, resume=bool(resume))
    resumed = run(misleading, tmp_path / "run", config, schedule=who, resume=True)
    assert steady(resumed.metrics) == steady(whole.metrics)
    check_same(tmp_path / "run", whole.folder)
    same_parameters(tmp_path / "run", whole.folder)


@pytest.mark.parametrize("kind", ["staged", "calibrated"])
def test_the_rates_of_each_stage_rise_to_the_configured_ones_and_fall_to_its_end(
    kind: str, misleading: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates: list[float] = []
    original = CtrTask.train_step

    def train_step(self: CtrTask) -> None:
        original(self)
        (group,) = self.optimizer.param_groups
        rates.append(group["lr"])

    monkeypatch.setattr(CtrTask, "train_step", train_step)
    config, who = training(kind, "linear", misleading, tmp_path)
    run(misleading, tmp_path / "run", config, schedule=who)
    num_steps = EPOCHS // 2 * STEPS
    of_stage = [1.0] + [1 - done / (num_steps - 1) for done in range(num_steps - 1)]
    assert rates == pytest.approx([0.01 * factor for factor in [*of_stage, *of_stage]])


# --- runs of former versions ------------------------------------------------------------------------------------------


def rewrite(folder: Path, **keys: Any) -> None:
    """Let a run state its schedule of the learning rates as a former version did, or none."""
    yaml = YAML()
    path = RunFolder(folder).config
    content = yaml.load(path.read_text())
    del content["train"]["lr_schedule"]
    content["train"] |= keys
    with path.open("w") as file:
        yaml.dump(content, file)
    RunFolder(folder).checksums.unlink()


@pytest.mark.parametrize(
    ("schedule", "former"),
    [
        ("constant", {}),
        ({"name": "plateau", "factor": 0.5}, {"lr_reduction": {"factor": 0.5, "patience": 1}}),
    ],
)
def test_a_run_of_a_former_version_is_resumed_evaluated_and_exported(
    schedule: Any, former: dict[str, Any], misleading: Path, tmp_path: Path
) -> None:
    config = make_config(tmp_path, train={"lr_schedule": schedule, "regularization": {"rows": 0}})
    whole = run(misleading, tmp_path / "whole", config)
    with killed_after_saving(2 * STEPS + 5):
        run(misleading, tmp_path / "run", config)
    rewrite(tmp_path / "run", **former)
    resumed = run(misleading, tmp_path / "run", config, resume=True)
    assert steady(resumed.metrics) == steady(whole.metrics)
    check_same(tmp_path / "run", whole.folder)
    export_run(tmp_path / "run", tmp_path / "bundle")
