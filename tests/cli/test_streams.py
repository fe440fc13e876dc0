"""Closed pipes and full disks behind standard output and error; each command in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.small_log import write_log_and_config
from tests.judging.judged_models import write_scores

RECSYS = f"{sys.executable} -m recsys"
PRINT = [
    "schema",
    "--version",
    "check run.yaml",
    "init log.csv --label click",
    "evaluate a.parquet --by group",
    "compare a.parquet b.parquet",
]
COMMANDS = [*PRINT, "--help", "train --help", "nothing"]


@pytest.fixture(autouse=True)
def _log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_log_and_config()
    for seed, name in enumerate(["a.parquet", "b.parquet"]):
        write_scores(Path(name), noise=1, seed=seed, rows=200)


def shell(line: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(["bash", "-c", line], text=True, capture_output=True, check=False)


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("pipe", ["| head -c 1", "2>&1 | head -c 1", "| true", "2>&1 | true"])
def test_a_pipe_that_is_closed_is_no_error(command: str, pipe: str) -> None:
    ended = shell(f"set -o pipefail; {RECSYS} {command} {pipe}")
    assert "Traceback" not in ended.stderr
    assert "Broken pipe" not in ended.stderr
    assert ended.returncode == (2 if command == "nothing" else 0)


@pytest.mark.slow
@pytest.mark.parametrize("command", PRINT)
def test_results_that_find_no_room_are_an_error_that_names_the_file(command: str) -> None:
    ended = shell(f"{RECSYS} {command} > /dev/full")
    assert ended.returncode == 2
    assert ended.stderr.splitlines()[-1].startswith(
        "error: /dev/full: cannot be read or written: No space left on device"
    )
    assert "Traceback" not in ended.stderr


@pytest.mark.slow
@pytest.mark.parametrize("command", ["schema", "check run.yaml"])
@pytest.mark.parametrize("messages", ["2> /dev/full", "2>&-"])
def test_messages_that_find_no_room_are_lost(command: str, messages: str) -> None:
    ended = shell(f"{RECSYS} {command} {messages}")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout


@pytest.mark.slow
def test_an_output_that_the_shell_has_closed_is_no_error() -> None:
    ended = shell(f"{RECSYS} schema >&-")
    assert (ended.returncode, ended.stderr) == (0, "")


def test_what_a_command_prints_is_what_it_printed_before() -> None:
    printed = subprocess.run([*RECSYS.split(), "--version"], capture_output=True, check=True, env=os.environ).stdout
    assert printed.startswith(b"recsys ")
    assert printed.endswith(b"\n")
