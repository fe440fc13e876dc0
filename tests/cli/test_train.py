"""How `recsys train` starts processes, and ends when it is told to."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from recsys.launch.launcher import Outcome
from tests.cli.command_line import Recsys
from tests.training.logs import write_config, write_log

COMMAND = [sys.executable, "-m", "recsys", "train", "run.yaml", "--name", "one", "--device", "cpu"]


@pytest.fixture
def launched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Note what would have been launched, in a folder with a config."""
    noted: list[Any] = []

    def launch(arguments: list[str], devices: int, *, resume_command: Callable[[int], str | None]) -> Outcome:
        noted.extend([arguments, devices, resume_command])
        return Outcome(75)

    write_config(tmp_path / "run.yaml")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("recsys.api.train.launch", launch)
    return noted


def test_all_processes_are_told_the_same_folder(recsys: Recsys, launched: list[Any]) -> None:
    Path("runs/run").mkdir(parents=True)
    Path("run.yaml").rename("shop.yaml")
    Path("runs/shop").mkdir()
    assert recsys("train", "shop.yaml", "--data-dir", "my data", "--device", "cpu", "--devices", "2").code == 75
    words = ["shop.yaml", "--data-dir", "my data", "--device", "cpu"]
    assert launched[:2] == [["train", *words, "--name", "shop-2", "--runs-dir", "runs"], 2]


def test_the_command_to_resume_names_the_devices_if_there_is_a_run(recsys: Recsys, launched: list[Any]) -> None:
    recsys("train", "run.yaml", "--name", "a", "--devices", "2")
    resume_command = launched[2]
    assert resume_command(1) is None
    Path("runs/a").mkdir(parents=True)
    Path("runs/a/config.yaml").touch()
    assert resume_command(1) == "recsys train run.yaml --resume runs/a --devices 2"
    assert resume_command(2) is None  # it would be refused again


def test_a_run_that_cannot_be_resumed_is_not_recommended_again(recsys: Recsys, launched: list[Any]) -> None:
    Path("runs/a").mkdir(parents=True)
    Path("runs/a/config.yaml").touch()
    recsys("train", "run.yaml", "--resume", "runs/a", "--devices", "2")
    arguments, _, resume_command = launched
    assert arguments == ["train", "run.yaml", "--resume", "runs/a"]
    assert resume_command(2) is None
    assert resume_command(1) == "recsys train run.yaml --resume runs/a --devices 2"


def test_what_is_wrong_is_said_once_before_any_process_starts(refused: Callable[..., str], launched: list[Any]) -> None:
    Path("runs/a").mkdir(parents=True)
    Path("runs/a/config.yaml").touch()
    assert "exists already" in refused("train", "run.yaml", "--name", "a", "--devices", "2")
    write_config(Path("run.yaml"), train={"epochs": -1})
    assert "epochs" in refused("train", "run.yaml", "--devices", "2")
    assert launched == []


@pytest.mark.parametrize("devices", ["0", "-1"])
def test_there_is_at_least_one_device(recsys: Recsys, launched: list[Any], devices: str) -> None:
    assert recsys("train", "run.yaml", "--devices", devices).code == 2
    assert launched == []


def test_a_process_that_torchrun_started_starts_no_others(
    recsys: Recsys, launched: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "1")
    monkeypatch.setattr("recsys.training.run.train", lambda *_, **given: sys.exit(given["world"].size + 10))
    assert recsys("train", "run.yaml", "--devices", "2", "--device", "cpu").code == 11
    assert launched == []


def test_the_process_that_starts_others_imports_no_torch() -> None:
    statement = "import sys, recsys.cli.train, recsys.cli.app, recsys.config; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", statement], check=False).returncode == 0


def wait_for(path: Path, process: "subprocess.Popen[str]") -> None:
    while not path.exists():
        assert process.poll() is None
        time.sleep(0.05)


@pytest.mark.slow
def test_sigterm_saves_and_says_how_to_resume(tmp_path: Path) -> None:
    write_config(write_log(tmp_path) / "run.yaml", train={"epochs": 100_000})
    process = subprocess.Popen(COMMAND, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_for(tmp_path / "runs" / "one" / "metrics.jsonl", process)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (75, "")
    lines = err.splitlines()
    assert "SIGTERM: saving and stopping after this batch" in lines
    assert lines[-1] == "stopped by SIGTERM; to resume: recsys train run.yaml --resume runs/one --device cpu"
    assert (tmp_path / "runs" / "one" / "checkpoints" / "last").exists()


@pytest.mark.ranks
def test_two_processes_train_one_model_and_speak_with_one_voice(tmp_path: Path) -> None:
    write_config(write_log(tmp_path) / "run.yaml", train={"epochs": 1})
    ended = subprocess.run(
        [*COMMAND, "--devices", "2"], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("runs/one: test AUC 0.")
    assert ended.stdout.count("\n") == 1
    assert ended.stderr.splitlines()[:2] == ["starting 2 processes", "run folder: runs/one"]
    assert ended.stderr.count("epoch 1: training loss ") == 1
    assert "Traceback" not in ended.stderr


@pytest.mark.slow
def test_seeds_go_on_after_a_kill_and_their_spread_is_printed(tmp_path: Path) -> None:
    write_config(write_log(tmp_path) / "run.yaml", train={"epochs": 4})
    command = [*COMMAND, "--seeds", "2"]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_for(tmp_path / "runs" / "one-seed-2" / "checkpoints" / "last", process)
    process.kill()
    process.communicate(timeout=60)
    before = (tmp_path / "runs" / "one-seed-1" / "metrics.json").stat().st_mtime_ns
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 0, ended.stderr
    first, second, both = ended.stdout.splitlines()
    assert first.startswith("runs/one-seed-1: test AUC 0.")
    assert second.startswith("runs/one-seed-2: test AUC 0.")
    assert both.startswith("runs/one-seed-*: test AUC 0.")
    assert both.endswith("(mean and standard deviation of 2 seeds)")
    assert "seed 1 (1 of 2): runs/one-seed-1 is finished" in ended.stderr
    assert "seed 2 (2 of 2): runs/one-seed-2 goes on" in ended.stderr
    assert (tmp_path / "runs" / "one-seed-1" / "metrics.json").stat().st_mtime_ns == before


@pytest.mark.slow
def test_seeds_that_were_stopped_are_resumed_by_the_same_command(tmp_path: Path) -> None:
    write_config(write_log(tmp_path) / "run.yaml", train={"epochs": 100_000})
    command = [*COMMAND, "--seeds", "2"]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_for(tmp_path / "runs" / "one-seed-1" / "metrics.jsonl", process)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (75, "")
    again = "recsys train run.yaml --device cpu --seeds 2 --name one"
    assert err.splitlines()[-1] == f"stopped by SIGTERM; to resume: {again}"


def test_one_run_is_resumed_without_seeds(refused: Callable[..., str], launched: list[Any]) -> None:
    assert "resume: is for one run" in refused("train", "run.yaml", "--seeds", "2", "--resume", "runs/a")
    assert launched == []
