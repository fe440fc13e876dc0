"""What a kill at any moment leaves of a run, and that it does no harm."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
import torch

from recsys.checkpoint import folder as checkpoint_files
from recsys.config import Config
from recsys.training.run import TrainResult
from tests.training.interruptions import (
    OFTEN,
    STEPS,
    Stop,
    check_same,
    interrupted_in_batch,
)
from tests.training.logs import clicks, epochs, make_config, run, steady, write_config, write_log

pytestmark = pytest.mark.slow


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
    (checkpoints / ".last.old" / "metadata.json").write_bytes(b"half deleted")


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
    rarely: Config,
    whole: TrainResult,
    log: Path,
    tmp_path: Path,
) -> None:
    folder = tmp_path / "run"
    with interrupted_in_batch(STEPS + 1):  # best and last are those of epoch 1
        run(log, folder, rarely)
    kill(folder / "checkpoints")
    run(log, folder, rarely, resume=True)
    check_same(folder, whole.folder)
    assert {path.name for path in (folder / "checkpoints").iterdir()} == {"best", "last"}


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
    often: Config, whole: TrainResult, log: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    with interrupted_in_batch(3):
        run(log, folder, often)
    shutil.rmtree(folder / "checkpoints")
    run(log, folder, often, resume=True)
    check_same(folder, whole.folder)


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
