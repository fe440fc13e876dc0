"""`recsys compare-schemes` on the command line; comparisons themselves are tested in tests/scheme_benchmark."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from recsys.cli import progress
from recsys.scheme_benchmark import run as compare_run
from recsys.scheme_benchmark.cell import Job, run_cell
from tests.cli.command_line import Recsys
from tests.training.logs import write_config, write_log

pytestmark = pytest.mark.slow

WORDS = ("compare-schemes", "run.yaml", "--schemes", "full,hash", "--budgets", "0.5", "--seeds", "1")


def run_here(jobs: Sequence[Job], *, on_end: Callable[[Job, str | None], None], **_: Any) -> None:
    for job in jobs:
        run_cell(job)
        on_end(job, None)


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A log and its run.yaml in the current folder, whose cells are trained in this process."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(compare_run, "run_jobs", run_here)
    write_config(tmp_path / "run.yaml", train={"epochs": 1})
    return write_log(tmp_path)


def test_it_trains_and_says_where_the_results_are(recsys: Recsys, own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "LOG_SECONDS", 0.0)
    folder = f"compare/{own.name}"
    ended = recsys(*WORDS)
    last = ended.out.splitlines()[-1]  # workers print the epochs to files
    assert (ended.code, last) == (0, f"{folder}: 2 cells trained; see report.md, results.csv, pareto.png")
    assert "cell 1 of 2: full-seed-1: test AUC 0." in ended.err
    assert "cells: 1 of 2, less than a minute left" in ended.err
    command = "recsys compare-schemes run.yaml --schemes full,hash --budgets 0.5 --seeds 1 --processes 1 --data-dir . "
    assert f"`{command}--cache-dir .recsys-cache --out {folder}`" in Path(folder, "report.md").read_text()
    assert recsys(*WORDS).out.startswith(f"{folder}: 0 cells trained")


def test_a_failed_cell_ends_in_exit_code_1(recsys: Recsys, own: Path) -> None:
    write_config(own / "run.yaml", train={"dense_optimizer": {"name": "sgd", "lr": 1e30}})
    ended = recsys(*WORDS, "--out", "out")
    assert ended.code == 1
    assert "failed: full-seed-1: " in ended.err
    assert ended.err.splitlines()[-1] == "to train them again, delete their .json in out/cells"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--schemes", "hahs"), "--schemes: unknown scheme 'hahs'; did you mean 'hash'?"),
        (("--budgets", "10 M"), "--budgets: must be a number and one of B, kB"),
    ],
)
def test_a_wrong_option_is_refused(
    words: tuple[str, str], message: str, own: Path, refused: Callable[..., str]
) -> None:
    assert refused("compare-schemes", "run.yaml", *words).startswith(message)
    assert not Path("compare").exists()


def test_ctrl_c_says_how_to_resume(recsys: Recsys, own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*arguments: Any, **options: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(compare_run, "run_jobs", interrupted)
    ended = recsys(*WORDS, "--out", "my folder")
    assert ended.code == 130
    assert "interrupted; to resume: recsys compare-schemes run.yaml --schemes full,hash" in ended.err
    assert "--out 'my folder'" in ended.err
    assert Path("my folder/report.md").exists()
