import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from recsys.scheme_benchmark import workers
from recsys.scheme_benchmark.result import read_result
from tests.scheme_benchmark.small_comparison import run
from tests.training.logs import make_config, write_config, write_log

pytestmark = pytest.mark.slow


def test_a_process_that_dies_takes_no_other_cell_with_it(tmp_path: Path, log: Path) -> None:
    model = {"tower": "tests.scheme_benchmark.killing_tower:KillingTower", "dim": 8}
    config = make_config(tmp_path / "config", model=model, train={"epochs": 1, "seed": 2})
    outcome = run(tmp_path, log, config=config, schemes="full", budgets="0.5", seeds=2)
    assert [(result.cell, result.reason) for result in outcome.failed] == [
        ("full-seed-2", "the process was killed (SIGKILL), as the system does when memory runs out")
    ]
    result = read_result(tmp_path / "out", "full-seed-3")
    assert result is not None
    assert result.status == "done"
    assert "## What failed" in (tmp_path / "out" / "report.md").read_text()


def test_a_cell_whose_process_was_killed_is_tried_again_by_the_next_call(tmp_path: Path, log: Path) -> None:
    model = {"tower": "tests.scheme_benchmark.killing_tower:KillingTower", "dim": 8}
    config = make_config(tmp_path / "config", model=model, train={"epochs": 1, "seed": 2})
    for _ in range(2):
        outcome = run(tmp_path, log, config=config, schemes="full", budgets="0.5", seeds=1)
        assert (outcome.trained, len(outcome.failed)) == (1, 1)


@pytest.mark.parametrize(
    ("error", "refusal"),
    [
        (OSError(28, "No space left on device"), "{log}: cannot be read or written: No space left on device; of the"),
        (OSError(30, "Read-only file system", "out"), "out: cannot be read or written: Read-only file system"),
    ],
)
def test_what_the_system_refuses_to_a_worker_is_told_with_the_path(
    error: OSError, refusal: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def work(_: Any) -> None:
        raise error

    monkeypatch.setattr(workers, "redirect_output", lambda _: None)
    job = SimpleNamespace(folder=tmp_path, cell=SimpleNamespace(name="full-seed-1"))
    told = workers.refusal_of(job, work)  # type: ignore[arg-type] - of a job, no more is read
    assert told is not None
    assert told.startswith(refusal.format(log=tmp_path / "cells" / "full-seed-1" / "log.txt"))
    assert workers.refusal_of(job, lambda _: None) is None  # type: ignore[arg-type]


@pytest.mark.proof
def test_ctrl_c_leaves_no_process_and_says_how_to_resume(tmp_path: Path) -> None:
    write_config(write_log(tmp_path) / "run.yaml", train={"epochs": 100_000})
    process = subprocess.Popen(
        [sys.executable, "-m", "recsys", "compare-schemes", "run.yaml", "--schemes", "full", "--out", "out"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    while not (tmp_path / "out" / "cells" / "full-seed-1" / "run" / "metrics.jsonl").exists():
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert err.splitlines()[-1].startswith("interrupted; to resume: recsys compare-schemes run.yaml --schemes full")
    assert (tmp_path / "out" / "report.md").exists()
    while processes_of_session(process.pid):  # or the test's time runs out
        time.sleep(0.05)


def processes_of_session(session: int) -> list[str]:
    listed = subprocess.run(["ps", "-s", str(session), "-o", "pid="], capture_output=True, text=True)
    return listed.stdout.split()
