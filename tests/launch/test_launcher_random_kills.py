"""SIGKILL of a rank at any moment: the job ends soon, says why, and goes on to the figures it would have had."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.training.logs import clicks, steady, write_config

KILLS = 20
LONGEST = 30.0
"""Seconds after the kill in which all processes must be gone."""


def start(config: Path, log: Path, folder: Path) -> subprocess.Popen[str]:
    """Begin the run, or go on with it, on two processes."""
    words = [sys.executable, "-m", "recsys", "train", str(config), "--data-dir", str(log), "--devices", "2"]
    words += ["--cache-dir", str(log / "cache"), "--device", "cpu"]
    if (folder / "config.yaml").exists():
        words += ["--resume", str(folder)]
    else:
        shutil.rmtree(folder, ignore_errors=True)
        words += ["--name", folder.name, "--runs-dir", str(folder.parent)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def wait_for_tables(process: subprocess.Popen[str], folder: Path) -> None:
    """Wait until the tables are placed: from then on, the ranks build the model, train and evaluate."""
    began = time.time()
    path = folder / "plan.json"
    while process.poll() is None and not (path.exists() and path.stat().st_mtime >= began):
        time.sleep(0.05)


def workers_of(process: subprocess.Popen[str]) -> list[int]:
    try:
        return [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]
    except FileNotFoundError:
        return []


def metrics_of(folder: Path) -> dict[str, float]:
    return steady(json.loads((folder / "metrics.json").read_text()))


@pytest.mark.proof
def test_a_rank_killed_at_twenty_random_moments(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.mkdir()
    for seed, (split, num_rows) in enumerate({"train": 6001, "valid": 801, "test": 801}.items()):
        clicks(num_rows, seed=seed).write_parquet(log / f"{split}.parquet")
    often = {"batch_size": 64, "epochs": 4, "checkpoint_minutes": 0.0, "dense_optimizer": {"lr": 0.001}}
    config = write_config(tmp_path / "config.yaml", train=often)
    whole = start(config, log, tmp_path / "runs" / "whole")
    wait_for_tables(whole, tmp_path / "runs" / "whole")
    began = time.monotonic()
    output, _ = whole.communicate(timeout=600)
    assert whole.returncode == 0, output
    seconds = time.monotonic() - began
    folder = tmp_path / "runs" / "killed"
    draw = random.Random(1)
    kills, took, resumed = 0, [], 0
    while kills < KILLS:
        resumed += (folder / "checkpoints" / "last").exists()
        process = start(config, log, folder)
        if draw.random() < 0.2:
            time.sleep(draw.uniform(1.0, 8.0))  # while they start and meet
        else:
            wait_for_tables(process, folder)
            time.sleep(draw.uniform(0.0, seconds / 4))
        workers = workers_of(process)
        if process.poll() is not None or len(workers) < 2:
            output, _ = process.communicate(timeout=LONGEST)
            assert process.returncode == 0, output
            shutil.rmtree(folder)  # it was faster than the kill
            continue
        os.kill(draw.choice(workers), signal.SIGKILL)
        killed_at = time.monotonic()
        output, _ = process.communicate(timeout=LONGEST)
        took.append(time.monotonic() - killed_at)
        assert not any(Path(f"/proc/{pid}").exists() for pid in workers)
        if process.returncode == 0:  # the rank had nothing left to do
            continue
        kills += 1
        assert "SIGKILL" in "\n".join(output.splitlines()[-6:]), output
    last = start(config, log, folder)
    output, _ = last.communicate(timeout=600)
    assert last.returncode == 0, output
    found, expected = metrics_of(folder), metrics_of(tmp_path / "runs" / "whole")
    apart = max(abs(found[name] - expected[name]) for name in expected if expected[name] == expected[name])
    print(f"{KILLS} kills, {resumed} of the sessions from a checkpoint; over after {max(took):.1f} s at most;")
    print(f"metrics differ by {apart:.1e} at most from an uninterrupted run")
    assert resumed >= KILLS // 2
    assert apart <= 1e-6
