"""A run that was stopped and taken up again ends as one that was not: bit for bit."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch

from recsys.checkpoint import folder as checkpoint_files
from recsys.checkpoint.load import load_checkpoint
from recsys.config import Config
from recsys.errors import ConfigError, DataError
from recsys.training.build import load_run
from recsys.training.callbacks import Checkpoints
from recsys.training.run import TrainResult
from recsys.training.strategy import table_weights
from recsys.training.task import CtrTask
from tests.training.logs import clicks, epochs, make_config, predictions, run, steady, write_config, write_log

STEPS = 13
"""Batches of an epoch."""
OFTEN: dict[str, Any] = {"checkpoint_minutes": 0.0, "lr_reduction": {"factor": 0.5, "patience": 1}}


class Stop(Exception):  # noqa: N818
    pass


@pytest.fixture(scope="module")
def often(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """A checkpoint after every batch."""
    return make_config(tmp_path_factory.mktemp("often"), train=OFTEN)


@pytest.fixture(scope="module")
def rarely(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """A checkpoint after every epoch."""
    return make_config(tmp_path_factory.mktemp("rarely"), train=OFTEN | {"checkpoint_minutes": 60.0})


@pytest.fixture(scope="module")
def whole(log: Path, often: Config, tmp_path_factory: pytest.TempPathFactory) -> TrainResult:
    """The run that nobody stopped."""
    return run(log, tmp_path_factory.mktemp("runs") / "whole", often)


@pytest.fixture
def stopped(log: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Path, Config, int], Path]:
    """Train until an exception in the batch with this number, from 1 over all epochs, before its checkpoint."""

    def stop(folder: Path, config: Config, step: int) -> Path:
        def on_train_batch_end(self: Checkpoints, *arguments: Any) -> None:
            if self.progress.step >= step:
                raise Stop
            original(self, *arguments)

        original = Checkpoints.on_train_batch_end
        with monkeypatch.context() as patch:
            patch.setattr(Checkpoints, "on_train_batch_end", on_train_batch_end)
            with pytest.raises(Stop):
                run(log, folder, config)
        return folder

    return stop


def check_same(resumed: Path, whole: Path) -> None:
    """Compare all that does not depend on the clock."""
    for split in ("test", "valid"):
        assert predictions(resumed, split).equals(predictions(whole, split))
    assert [timeless(line) for line in epochs(resumed)] == [timeless(line) for line in epochs(whole)]


def timeless(line: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in line.items() if name != "rows_per_second"}


@pytest.mark.parametrize("step", [1, 5, STEPS, STEPS + 1, STEPS + 6, 2 * STEPS, 2 * STEPS + 1, 3 * STEPS])
def test_a_run_stopped_at_any_batch_ends_as_if_it_had_not_been(
    step: int, stopped: Callable[..., Path], often: Config, whole: TrainResult, log: Path, tmp_path: Path
) -> None:
    folder = stopped(tmp_path / "run", often, step)
    shown: list[tuple[str, int, int | None]] = []
    resumed = run(log, folder, often, resume=True, on_progress=lambda *told: shown.append(told))
    assert steady(resumed.metrics) == steady(whole.metrics)
    check_same(folder, whole.folder)
    rows = [done for stage, done, total in shown if (stage, total) == ("epoch 3", 1600)]
    assert rows == [*range(128, 1600, 128), 1600][-len(rows) :]


@pytest.mark.parametrize("step", [3, STEPS + 6])
def test_a_run_goes_on_from_the_last_epoch_where_there_is_no_newer_checkpoint(
    step: int, stopped: Callable[..., Path], rarely: Config, whole: TrainResult, log: Path, tmp_path: Path
) -> None:
    folder = stopped(tmp_path / "run", rarely, step)
    run(log, folder, rarely, resume=True)
    check_same(folder, whole.folder)


def test_a_run_stopped_while_it_reports_an_epoch_has_that_epoch_once(
    rarely: Config, whole: TrainResult, log: Path, tmp_path: Path
) -> None:
    def say(line: str) -> None:
        if line.startswith("epoch 2"):
            raise Stop

    with pytest.raises(Stop):
        run(log, tmp_path / "run", rarely, say=say)
    assert [line["epoch"] for line in epochs(tmp_path / "run")] == [1, 2]
    run(log, tmp_path / "run", rarely, resume=True)
    check_same(tmp_path / "run", whole.folder)


def test_a_run_may_be_stopped_more_than_once(
    stopped: Callable[..., Path],
    often: Config,
    whole: TrainResult,
    log: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = stopped(tmp_path / "run", often, 4)

    def stop_in_epoch_2(self: Checkpoints, *arguments: Any) -> None:
        if self.progress.step >= STEPS + 2:
            raise Stop
        original(self, *arguments)

    original = Checkpoints.on_train_batch_end
    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "on_train_batch_end", stop_in_epoch_2)
        with pytest.raises(Stop):
            run(log, folder, often, resume=True)
    run(log, folder, often, resume=True)
    check_same(folder, whole.folder)


def nothing(checkpoints: Path) -> None:
    pass


def half_written_last(checkpoints: Path) -> None:
    shutil.copytree(checkpoints / "last", checkpoints / ".last.tmp")
    (checkpoints / ".last.tmp" / "trainer.pt").write_bytes(b"half")


def last_set_aside(checkpoints: Path) -> None:
    half_written_last(checkpoints)
    (checkpoints / "last").rename(checkpoints / ".last.old")


def last_set_aside_and_replaced(checkpoints: Path) -> None:
    (checkpoints / ".last.old").mkdir()
    (checkpoints / ".last.old" / ".metadata").write_bytes(b"half deleted")


def no_best_yet(checkpoints: Path) -> None:
    shutil.rmtree(checkpoints / "best")
    (checkpoints / ".best.tmp").mkdir()


def best_set_aside(checkpoints: Path) -> None:
    (checkpoints / "best").rename(checkpoints / ".best.old")
    shutil.copytree(checkpoints / "last", checkpoints / ".best.tmp")


def both_set_aside(checkpoints: Path) -> None:
    best_set_aside(checkpoints)
    last_set_aside(checkpoints)


@pytest.mark.parametrize(
    "kill",
    [
        nothing,
        half_written_last,
        last_set_aside,
        last_set_aside_and_replaced,
        no_best_yet,
        best_set_aside,
        both_set_aside,
    ],
)
def test_what_a_kill_leaves_while_checkpoints_are_written_does_no_harm(
    kill: Callable[[Path], None],
    stopped: Callable[..., Path],
    rarely: Config,
    whole: TrainResult,
    log: Path,
    tmp_path: Path,
) -> None:
    folder = stopped(tmp_path / "run", rarely, STEPS + 1)  # best and last are those of epoch 1
    kill(folder / "checkpoints")
    run(log, folder, rarely, resume=True)
    check_same(folder, whole.folder)
    assert {path.name for path in (folder / "checkpoints").iterdir()} == {"best", "last"}


@pytest.mark.parametrize("epoch", [1, 2, 3])
def test_a_run_stopped_while_it_is_validated_is_validated_again(
    epoch: int, often: Config, whole: TrainResult, log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def on_validation_epoch_start(self: CtrTask) -> None:
        if self.current_epoch + 1 == epoch:
            raise Stop
        original(self)

    original = CtrTask.on_validation_epoch_start
    with monkeypatch.context() as patch:
        patch.setattr(CtrTask, "on_validation_epoch_start", on_validation_epoch_start)
        with pytest.raises(Stop):
            run(log, tmp_path / "run", often)
    run(log, tmp_path / "run", often, resume=True)
    check_same(tmp_path / "run", whole.folder)


def test_the_best_epoch_is_kept_though_the_kill_came_before_its_copy(rarely: Config, tmp_path: Path) -> None:
    log = write_log(tmp_path / "log")
    clicks(400, seed=1).with_columns(click=1 - pl.col("click")).write_parquet(log / "valid.parquet")
    whole = run(log, tmp_path / "whole", rarely)
    assert whole.metrics["best_epoch"] == 1  # no later epoch replaces it

    def copy(source: Path, folder: Path) -> None:
        raise Stop

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoint_files, "link_checkpoint", copy)
        with pytest.raises(Stop):
            run(log, tmp_path / "run", rarely)
    assert [one.name for one in (tmp_path / "run" / "checkpoints").iterdir()] == ["last"]
    run(log, tmp_path / "run", rarely, resume=True)
    check_same(tmp_path / "run", whole.folder)


def test_a_run_killed_before_its_first_checkpoint_begins_again(
    often: Config, whole: TrainResult, stopped: Callable[..., Path], log: Path, tmp_path: Path
) -> None:
    folder = stopped(tmp_path / "run", often, 3)
    shutil.rmtree(folder / "checkpoints")
    run(log, folder, often, resume=True)
    check_same(folder, whole.folder)


def test_a_finished_run_is_only_evaluated_again(whole: TrainResult, often: Config, log: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(whole.folder, tmp_path / "run")
    shutil.rmtree(folder / "predictions")
    (folder / "metrics.json").unlink()
    said: list[str] = []
    again = run(log, folder, often, resume=True, say=said.append)
    assert said == ["training was over after epoch 3"]
    assert again.metrics == whole.metrics  # seconds and rows per second too
    check_same(folder, whole.folder)
    saved = torch.load(folder / "checkpoints" / "last" / "trainer.pt")
    assert saved["extra"]["progress"]["step"] == 3 * STEPS


def test_an_early_stop_is_final(tmp_path: Path) -> None:
    folder = write_log(tmp_path / "log")
    clicks(400, seed=1).with_columns(click=1 - pl.col("click")).write_parquet(folder / "valid.parquet")
    config = make_config(tmp_path, train={"epochs": 9, "early_stopping": {"metric": "auc", "patience": 1}})
    first = run(folder, tmp_path / "run", config)
    again = run(folder, tmp_path / "run", config, resume=True)
    assert again.metrics == first.metrics
    assert [line["epoch"] for line in epochs(tmp_path / "run")] == [1, 2]


def test_patience_goes_on_counting_after_a_stop(tmp_path: Path) -> None:
    folder = write_log(tmp_path / "log")
    clicks(400, seed=1).with_columns(click=1 - pl.col("click")).write_parquet(folder / "valid.parquet")
    config = make_config(tmp_path, train={"epochs": 9, "early_stopping": {"metric": "auc", "patience": 3}})

    def say(line: str) -> None:
        if line.startswith("epoch 3"):
            raise Stop

    with pytest.raises(Stop):
        run(folder, tmp_path / "run", config, say=say)
    run(folder, tmp_path / "run", config, resume=True)
    assert [line["epoch"] for line in epochs(tmp_path / "run")] == [1, 2, 3, 4]


@pytest.mark.parametrize(("optimizer", "lr"), [("rowwise_adagrad", 0.5), ("adagrad", 0.5), ("sgd", 20.0)])
def test_a_learning_rate_of_almost_nothing_is_taken_up_by_tables_and_dense_part(
    optimizer: str, lr: float, tmp_path: Path
) -> None:
    folder = write_log(tmp_path / "log")
    clicks(400, seed=1).with_columns(click=1 - pl.col("click")).write_parquet(folder / "valid.parquet")
    config = make_config(
        tmp_path,
        train={
            "epochs": 4,
            "lr_reduction": {"factor": 1e-20, "patience": 1},
            "sparse_optimizer": {"name": optimizer, "lr": lr},
        },
    )

    def say(line: str) -> None:
        if line.startswith("epoch 3"):
            raise Stop

    with pytest.raises(Stop):
        run(folder, tmp_path / "run", config, say=say)  # reduced after epoch 2, of which `last` is
    assert [line["valid.auc"] < 0.5 for line in epochs(tmp_path / "run")[1:]] == [True, True]
    before = parameters(tmp_path / "run", "last")
    first = parameters(tmp_path / "run", "best")
    run(folder, tmp_path / "run", config, resume=True)
    after = parameters(tmp_path / "run", "last")
    for name, value in before.items():
        assert torch.equal(after[name], value), f"{name} moved"
        assert not torch.equal(first[name], value), f"{name} never moved"


def parameters(folder: Path, which: str) -> dict[str, torch.Tensor]:
    """Return copies of all tables and dense parameters of a checkpoint."""
    built = load_run(folder, device=torch.device("cpu"))
    load_checkpoint(folder / "checkpoints" / which, built.model)
    found = table_weights(built.model) | dict(built.model.module.tower.named_parameters())
    return {name: value.detach().clone() for name, value in found.items()}


def test_another_configuration_is_refused(whole: TrainResult, log: Path, tmp_path: Path) -> None:
    other = make_config(tmp_path, train=OFTEN | {"batch_size": 64})
    with pytest.raises(ConfigError, match="was made with another configuration; compare with"):
        run(log, whole.folder, other, resume=True)


def test_other_data_is_refused(whole: TrainResult, often: Config, tmp_path: Path) -> None:
    changed = write_log(tmp_path / "log")
    clicks(1601, seed=0).write_parquet(changed / "train.parquet")
    with pytest.raises(DataError, match="the data files have changed since the run began"):
        run(changed, whole.folder, often, resume=True)


def test_a_folder_that_is_no_run_is_refused(often: Config, log: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"not a run folder: it has no config\.yaml"):
        run(log, tmp_path / "nowhere", often, resume=True)


def start(log: Path, config: Path, *arguments: str) -> "subprocess.Popen[str]":
    """Start `recsys train` as a user would."""
    command = [sys.executable, "-m", "recsys", "train", str(config), "--data-dir", str(log), "--device", "cpu"]
    return subprocess.Popen(
        [*command, "--cache-dir", str(log / "cache"), *arguments],
        env=os.environ | {"OMP_NUM_THREADS": str(torch.get_num_threads())},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for_step(process: "subprocess.Popen[str]", folder: Path, *, lines: int) -> None:
    """Wait until some epochs are over and a checkpoint of the next one has been seen."""
    for _ in range(6000):
        done = folder / "metrics.jsonl"
        if process.poll() is not None:
            raise AssertionError(f"ended before it was killed: {process.communicate()}")
        if done.exists() and len(done.read_text().splitlines()) >= lines:
            return
        time.sleep(0.005)
    raise AssertionError("never got there")


def test_a_killed_process_is_taken_up_bit_for_bit(log: Path, tmp_path: Path) -> None:
    path = write_config(tmp_path / "run.yaml", train=OFTEN | {"epochs": 8})
    config = make_config(tmp_path, train=OFTEN | {"epochs": 8})
    process = start(log, path, "--runs-dir", str(tmp_path), "--name", "killed")
    wait_for_step(process, tmp_path / "killed", lines=2)
    time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert not (tmp_path / "killed" / "metrics.json").exists()
    resumed = run(log, tmp_path / "killed", config, resume=True)
    whole = run(log, tmp_path / "whole", config)
    assert steady(resumed.metrics) == steady(whole.metrics)
    check_same(tmp_path / "killed", tmp_path / "whole")


@pytest.mark.proof
def test_twelve_kills_at_random_moments_change_nothing(log: Path, tmp_path: Path) -> None:
    """Every process, also those that go on, is killed at some moment after it has begun to train."""
    path = write_config(tmp_path / "run.yaml", train=OFTEN | {"epochs": 40})
    whole = start(log, path, "--runs-dir", str(tmp_path), "--name", "whole")
    printed, complaint = whole.communicate()
    assert whole.returncode == 0, complaint
    folder = tmp_path / "killed"
    delays = torch.rand(12, generator=torch.Generator().manual_seed(7)).tolist()
    kills = []
    for delay in delays:
        seen = len(epochs(folder)) if (folder / "metrics.jsonl").exists() else 0
        going_on = ["--resume", str(folder)] if folder.exists() else ["--runs-dir", str(tmp_path), "--name", "killed"]
        process = start(log, path, *going_on)
        wait_for_step(process, folder, lines=seen + 1)
        time.sleep(delay / 2)
        process.kill()
        process.communicate()
        left = sorted(one.name for one in (folder / "checkpoints").iterdir())
        kills.append(f"killed {delay / 2:.3f} s after epoch {seen + 1}, in epoch {len(epochs(folder)) + 1}: {left}")
    last = start(log, path, "--resume", str(folder))
    resumed, complaint = last.communicate()
    assert last.returncode == 0, complaint
    print("\n".join(kills), f"\nwhole:  {printed}resumed: {resumed}")
    assert printed.split(": ", 1)[1] == resumed.split(": ", 1)[1]
    check_same(folder, tmp_path / "whole")


def test_where_tables_lie_may_change_and_nothing_else(log: Path, tmp_path: Path) -> None:
    """Also of a table that the file did not name before; the message says what else has changed."""
    folder = tmp_path / "run"
    run(log, folder, make_config(tmp_path / "a", train={"epochs": 1}))
    table = {"features": ["item"], "sharding": "row_wise", "placement": "uvm"}
    said: list[str] = []
    named = make_config(tmp_path / "b", tables={"item": table}, train={"epochs": 1, "communication": "bf16"})
    run(log, folder, named, resume=True, say=said.append)
    assert said == ["training was over after epoch 1"]
    with pytest.raises(ConfigError, match=r"was made with another configuration; .*:\n  -     dim: 8\n  \+     dim: 4"):
        run(log, folder, make_config(tmp_path / "c", tables={"item": table | {"dim": 4}}), resume=True)
