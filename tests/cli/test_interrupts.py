import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from recsys.cli import app as command_line
from recsys.cli.interrupts import handling_interrupts, was_interrupted
from recsys.errors import DataError, Preempted
from tests.cli.command_line import Recsys


def interrupted() -> None:
    signal.raise_signal(signal.SIGINT)


def as_data_error() -> None:
    """Do as libraries do that wrap whatever comes."""
    try:
        interrupted()
    except KeyboardInterrupt as error:
        raise DataError("log.csv: cannot be read as csv: KeyboardInterrupt") from error


def as_exit() -> None:
    try:
        interrupted()
    except KeyboardInterrupt:
        sys.exit(1)


def as_fault() -> None:
    try:
        interrupted()
    except KeyboardInterrupt as error:
        raise ImportError("numpy.core.multiarray failed to import") from error


class Dies:
    def __del__(self) -> None:
        interrupted()


def in_finalizer() -> None:
    """Swallow the interrupt, as the interpreter does in a finalizer; it comes again."""
    Dies()
    time.sleep(5)


@pytest.mark.parametrize(
    "work", [interrupted, as_data_error, as_exit, as_fault, pytest.param(in_finalizer, marks=pytest.mark.slow)]
)
def test_ctrl_c_ends_with_130_whatever_is_made_of_it(
    work: Any, recsys: Recsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command_line, "app", work)
    assert recsys() == (130, "", "")


def test_without_ctrl_c_an_error_stays_what_it_is(recsys: Recsys, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails() -> None:
        raise DataError("here")

    monkeypatch.setattr(command_line, "app", fails)
    assert recsys() == (2, "", "error: here\n")


def test_the_handlers_of_before_are_back_after_the_block() -> None:
    def handlers() -> list[Any]:
        return [*map(signal.getsignal, (signal.SIGINT, signal.SIGTERM)), sys.unraisablehook, threading.excepthook]

    before = handlers()
    with handling_interrupts():
        assert not was_interrupted()
        assert not set(before) & set(handlers())
    assert handlers() == before


def test_a_signal_that_is_ignored_stays_so(monkeypatch: pytest.MonkeyPatch) -> None:
    former = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with handling_interrupts():
            interrupted()
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, former)


IMPORTS = """
import sys
from recsys.cli.interrupts import handling_interrupts
sys.path.insert(0, {folder!r})
with handling_interrupts():
    import interrupts_itself
"""


def test_ctrl_c_during_an_import_ends_the_process_at_once(tmp_path: Path) -> None:
    (tmp_path / "interrupts_itself.py").write_text(
        "import signal\ntry:\n    signal.raise_signal(signal.SIGINT)\nfinally:\n    print('half made')\n"
    )
    command = [sys.executable, "-c", IMPORTS.format(folder=str(tmp_path))]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "")


STARTS = """
import signal, sys
class Signals:
    def find_spec(self, name, *_):
        if name == "recsys.cli":
            signal.raise_signal(signal.SIGTERM)
sys.meta_path.insert(0, Signals())
from recsys.__main__ import main
main()
"""


@pytest.mark.parametrize(
    ("words", "rank", "code"),
    [
        ("train run.yaml", {}, Preempted.EXIT_CODE),
        ("compare-schemes run.yaml", {}, Preempted.EXIT_CODE),
        ("train run.yaml", {"RANK": "0"}, -signal.SIGTERM),
        ("check train", {}, -signal.SIGTERM),
        ("", {}, -signal.SIGTERM),
    ],
)
def test_sigterm_before_a_command_is_imported_says_whether_to_try_again(
    words: str, rank: dict[str, str], code: int
) -> None:
    command = [sys.executable, "-c", STARTS, *words.split()]
    ended = subprocess.run(command, env={**os.environ, **rank}, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (code, "", "")


ENDS = """
import atexit, signal
atexit.register(signal.raise_signal, signal.{name})
from recsys.__main__ import main
main()
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_after_the_work_is_done_does_not_change_how_it_ended(name: str) -> None:
    command = [sys.executable, "-c", ENDS.format(name=name), "train", "--help"]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0


SLEEPS = """
import signal, time
from recsys.cli.interrupts import handling_interrupts
with handling_interrupts():
    try:
        print("ready", flush=True)
        time.sleep(60)
    except KeyboardInterrupt:
        print("first", flush=True)
        {then}
"""


@pytest.mark.slow
def test_a_second_ctrl_c_ends_what_the_first_one_could_not() -> None:
    command = [sys.executable, "-c", SLEEPS.format(then="time.sleep(60)")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "first\n"
        time.sleep(1.2)
        process.send_signal(signal.SIGINT)
        assert (process.wait(10), process.stderr.read()) == (130, "")


WRITES = """
import time
from pathlib import Path
from recsys.cli import app as command_line
from recsys.files import atomic_path

def write():
    with atomic_path(Path({path!r})) as temporary:
        temporary.write_text("half")
        print("ready", flush=True)
        time.sleep(60)

command_line.app = write
command_line.main()
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rank", "is_clean"), [pytest.param({}, True, id="alone"), pytest.param({"RANK": "0"}, False, id="one of several")]
)
def test_sigterm_removes_what_is_half_written(tmp_path: Path, rank: dict[str, str], is_clean: bool) -> None:
    command = [sys.executable, "-c", WRITES.format(path=str(tmp_path / "scores.parquet"))]
    pipes: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, env={**os.environ, **rank}, text=True, **pipes) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        assert list(tmp_path.iterdir())
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == -signal.SIGTERM
        assert process.stderr.read() == ""  # type: ignore[union-attr]
    assert (list(tmp_path.iterdir()) == []) == is_clean
