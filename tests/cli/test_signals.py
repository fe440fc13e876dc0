"""Ctrl-C and SIGTERM at random moments of every command, from its first second on; each a process of its own."""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.training.logs import clicks, steady, write_config, write_log

pytestmark = pytest.mark.proof

MOMENTS = 16
SEED = 7
SIGNALS = [signal.SIGINT, signal.SIGTERM]
INTERPRETER_SECONDS = 0.5
"""More than Python itself needs to start, in which the system ends the process."""
COMMANDS = {
    "train": "train run.yaml --name {name}",
    "train in two processes": "train run.yaml --name {name} --devices 2",
    "prepare": "tables run.yaml --cache-dir cache-{name}",
    "export": "export runs/done --out {name}",
    "predict": "predict bundle many.parquet --out {name}.parquet",
    "evaluate": "evaluate runs/done many.parquet --out {name}.parquet",
    "report": "evaluate runs/done --by item --report {name} --importance",
    "compare models": "compare runs/done runs/done/predictions/test.parquet --by item --report {name}",
    "importance": "importance runs/done --cache-dir cache-{name}",
    "check csv": "check csv.yaml",
    "compare schemes": "compare-schemes run.yaml --schemes full --budgets 0.5 --seeds 1 --out {name}",
}


def start(line: str, folder: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "recsys", *line.split()],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def run(line: str, folder: Path) -> str:
    process = start(line, folder)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return out


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_log(tmp_path_factory.mktemp("signals"))
    write_config(folder / "run.yaml", train={"epochs": 6, "checkpoint_minutes": 0.0})
    clicks(100_000, seed=9).write_parquet(folder / "many.parquet")
    clicks(100_000, seed=9).drop("seen").write_csv(folder / "many.csv")
    features = {"user": {"type": "id"}, "item": {"type": "id"}}
    write_config(folder / "csv.yaml", features=features, data={"train": "many.csv"})
    run("train run.yaml --name done", folder)
    run("export runs/done --out bundle", folder)
    return folder


@pytest.mark.parametrize("number", SIGNALS, ids=["Ctrl-C", "SIGTERM"])
@pytest.mark.parametrize("name", COMMANDS)
def test_a_signal_at_any_moment_ends_a_command_without_a_traceback(
    name: str, number: signal.Signals, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    draw = random.Random(f"{SEED} {name} {number}")
    started = time.monotonic()
    run(COMMANDS[name].format(name="timed"), folder)
    seconds = time.monotonic() - started
    codes = []
    for moment in range(MOMENTS):
        after = draw.uniform(0.02, 1.0 if moment % 2 else seconds)
        line = COMMANDS[name].format(name=f"at-{moment}")
        process = start(line, folder)
        time.sleep(after)
        process.send_signal(number)
        _, err = process.communicate(timeout=120)
        where = f"{name}, signal after {after:.2f} s: code {process.returncode}\n{err}"
        if not is_of_interpreter(err):
            assert process.returncode in codes_of(name, number, after), where
            assert "Traceback" not in err, where
            assert "error: " not in err, where
        codes.append(process.returncode)
        check_report(folder / f"at-{moment}")
        if name.startswith("train"):
            check_run_goes_on(line, folder / "runs" / f"at-{moment}", folder)
    with capsys.disabled():
        print(f"\n{name}, {number.name}: codes {dict(sorted((code, codes.count(code)) for code in set(codes)))}")
    clean(folder)


def codes_of(name: str, number: signal.Signals, after: float) -> set[int]:
    """Return how a command may end; 0: it was done. 75: what is needed to resume is saved, or nothing is begun."""
    if number == signal.SIGINT:
        return {130, 0} | ({-number} if after < INTERPRETER_SECONDS else set())
    if name.startswith(("train", "compare schemes")) and after > INTERPRETER_SECONDS:
        return {75, 0}
    return {75, -number, 0}


def is_of_interpreter(err: str) -> bool:
    """Return whether the signal came before the first lines of ours, while Python itself was starting."""
    return "Traceback" in err and not re.search(r"/recsys/(?!__init__\.py|lazy\.py)", err)


def check_report(path: Path) -> None:
    """A page is there only if all that belongs to it is."""
    if (path / "report.html").exists():
        assert (path / "report.html").read_text().endswith("</html>\n")
        assert (path / "slices.csv").exists()


def check_run_goes_on(line: str, path: Path, folder: Path) -> None:
    """Train what was stopped to its end, and compare its figures with those of a run that nobody stopped."""
    if (path / "config.yaml").exists():
        line = f"{line.split(' --name')[0]} --resume {path}" + (" --devices 2" if "--devices" in line else "")
    run(line, folder)
    expected = "timed" if "--devices" in line else "done"
    found, whole = (json.loads((at / "metrics.json").read_text()) for at in (path, folder / "runs" / expected))
    assert steady(found) == steady(whole)


def clean(folder: Path) -> None:
    for path in folder.iterdir():
        if path.name.startswith(("timed", "at-", "cache-")):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    for path in (folder / "runs").iterdir():
        if path.name != "done":
            shutil.rmtree(path)


@pytest.fixture(autouse=True)
def _no_process_is_left() -> Iterator[None]:
    yield
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and children():
        time.sleep(0.1)
    assert not children()


def children() -> list[str]:
    listed = subprocess.run(["ps", "--ppid", str(os.getpid()), "-o", "cmd="], capture_output=True, text=True)
    return [line for line in listed.stdout.splitlines() if "recsys" in line]
