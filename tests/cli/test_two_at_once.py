"""Two commands that write to one place at the same time."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from recsys.files import DRAFT
from tests.training.logs import steady, write_config, write_log

pytestmark = pytest.mark.proof


def start(line: str, folder: Path) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "recsys", *line.split()]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def end(process: "subprocess.Popen[str]") -> tuple[int, str]:
    _, err = process.communicate(timeout=300)
    return process.returncode, err


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_log(tmp_path_factory.mktemp("two"))
    write_config(folder / "run.yaml", train={"epochs": 3, "checkpoint_minutes": 0.0})
    write_config(folder / "long.yaml", train={"epochs": 300, "checkpoint_minutes": 0.0, "early_stopping": None})
    assert end(start("train run.yaml --name done", folder))[0] == 0
    return folder


@pytest.mark.parametrize("time_", range(3))
def test_two_exports_of_one_bundle_leave_one_that_scores(time_: int, folder: Path) -> None:
    for process in [start("export runs/done --out bundle", folder) for _ in range(2)]:
        assert end(process)[0] == 0
    assert end(start("predict bundle test.parquet --out scores.parquet", folder))[0] == 0
    assert not list(folder.glob(f"{DRAFT}*"))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("train long.yaml --name one", "train long.yaml --resume runs/one"),
        ("train long.yaml --name two --devices 2", "train long.yaml --resume runs/two --devices 2"),
        (
            "compare-schemes long.yaml --schemes full --seeds 1 --out compared",
            "compare-schemes long.yaml --schemes full --seeds 1 --out compared",
        ),
    ],
)
def test_the_second_is_told_who_was_first_and_the_first_is_not_disturbed(first: str, second: str, folder: Path) -> None:
    holder = start(first, folder)
    out = folder / ("compared" if "compared" in first else f"runs/{first.split()[3]}")
    while not list(out.rglob("metrics.jsonl")):  # or the test's time runs out
        assert holder.poll() is None
        time.sleep(0.05)
    code, err = end(start(second, folder))
    assert code == 2
    assert "Traceback" not in err
    assert "is being trained by process" in err or "is being worked on by process" in err
    assert holder.poll() is None
    holder.terminate()
    assert end(holder)[0] == 75


def test_a_run_that_two_resume_has_the_figures_of_one_that_nobody_stopped(folder: Path) -> None:
    first = start("train run.yaml --name torn", folder)
    while not (folder / "runs" / "torn" / "metrics.jsonl").exists():
        time.sleep(0.02)
    first.terminate()
    assert end(first)[0] in (0, 75)
    codes = [end(process)[0] for process in [start("train run.yaml --resume runs/torn", folder) for _ in range(2)]]
    assert sorted(codes) in ([0, 0], [0, 2])
    found, whole = (json.loads((folder / "runs" / name / "metrics.json").read_text()) for name in ("torn", "done"))
    assert steady(found) == steady(whole)
