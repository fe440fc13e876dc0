"""Cells that are trained in this process; test_run.py has the worker processes around them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from recsys.config import HashTable, load_config
from recsys.data.prepare import prepare
from recsys.errors import ConfigError
from recsys.scheme_benchmark import cell as cell_module
from recsys.scheme_benchmark.cell import Job, describe_error, run_cell
from recsys.scheme_benchmark.grid import Cell, SearchedTables
from recsys.scheme_benchmark.result import Result, read_result, run_folder
from recsys.search.methods.nested import Nested
from recsys.training import run as training_run
from tests.training.logs import epochs, make_config

pytestmark = pytest.mark.slow

CELL = Cell(variant="hash", spec=HashTable(features=("*",), scheme="hash", rows=17), seed=3)


@pytest.fixture
def job(log: Path, tmp_path: Path) -> Callable[..., Job]:
    def make(cell: Cell = CELL, **changes: Any) -> Job:
        config = make_config(tmp_path / "config", **changes)
        return Job(
            cell=cell,
            config=cell.config(config),
            folder=tmp_path / "out",
            data_dir=log,
            cache_dir=log / "cache",
            split="test",
            valid=prepare(config, log, log / "cache").splits["valid"],
            full_bytes=1088,
        )

    return make


def run(job: Job) -> Result:
    run_cell(job)
    result = read_result(job.folder, job.cell.name)
    assert result is not None
    return result


def nested(allowed: int) -> Cell:
    return Cell(variant="nested", spec=SearchedTables(method="nested", bytes=allowed), seed=3)


def test_the_cell_of_a_search_trains_what_was_found_within_its_bytes_and_leaves_its_yaml(
    job: Callable[..., Job],
) -> None:
    made = job(nested(560), train={"epochs": 1})
    found = run(made)
    assert (found.status, found.reason, found.size_param, found.size_value) == ("done", None, "bytes", 560)
    assert found.serving_bytes is not None
    assert found.serving_bytes <= 560
    yaml = made.folder / "cells" / made.cell.name / "tables.yaml"
    assert load_config(yaml).train.seed == 3
    assert load_config(yaml).tables
    # Another budget has the supernet of the first.
    supernet = made.folder / "searches" / "nested-seed-3" / "runs" / "supernet" / "metrics.json"
    before = supernet.stat().st_mtime_ns
    less = run(
        job(Cell(variant="nested", spec=SearchedTables(method="nested", bytes=200), seed=3), train={"epochs": 1})
    )
    assert (less.status, less.reason, supernet.stat().st_mtime_ns) == ("done", None, before)


def test_a_search_that_finds_nothing_so_small_says_so(job: Callable[..., Job], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Nested, "candidates", lambda self, request: iter(()))
    found = run(job(nested(16), train={"epochs": 1}))
    assert (found.status, found.retry) == ("failed", False)
    assert found.reason == "nested finds no tables of 16 B"


def test_a_cell_ends_with_its_figures_and_without_what_is_large(job: Callable[..., Job]) -> None:
    made = job(train={"epochs": 2})
    found = run(made)
    assert (found.status, found.reason, found.scheme, found.size_param, found.size_value, found.seed) == (
        "done",
        None,
        "hash",
        "rows",
        17,
        3,
    )
    assert found.auc is not None
    assert found.auc_low is not None
    assert found.auc_high is not None
    assert found.auc_low < found.auc < found.auc_high
    assert (found.serving_bytes, found.training_bytes, found.full_bytes) == (17 * 8 * 4, 17 * 8 * 4 + 17 * 4, 1088)
    assert found.lookup_ms is not None
    assert found.lookup_ms > 0
    folder = run_folder(made.folder, CELL.name)
    kept = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert kept == {
        "checksums.json",
        "config.yaml",
        "data.json",
        "environment.json",
        "metrics.json",
        "metrics.jsonl",
        "predictions/checksums.json",
        "predictions/test.parquet",
    }


def test_an_interrupted_cell_goes_on_from_its_last_checkpoint(
    job: Callable[..., Job], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = job(train={"epochs": 3})

    class Killed(BaseException):
        pass

    def kill(*arguments: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(training_run, "evaluate_best", kill)
        with pytest.raises(Killed):
            run_cell(made)
    assert read_result(made.folder, CELL.name) is None
    capsys.readouterr()
    found = run(made)
    assert capsys.readouterr().out == "training was over after epoch 3\n"
    assert (found.status, found.epochs) == ("done", 3)
    assert len(epochs_of(made)) == 3


def test_an_interrupted_cell_without_a_checkpoint_begins_again(job: Callable[..., Job]) -> None:
    made = job(train={"epochs": 1})
    run_folder(made.folder, CELL.name).mkdir(parents=True)
    (run_folder(made.folder, CELL.name) / "config.yaml").write_text("half a fi")
    assert run(made).status == "done"


def test_a_diverging_cell_is_a_result_that_says_why(job: Callable[..., Job]) -> None:
    made = job(train={"dense_optimizer": {"name": "sgd", "lr": 1e30}})
    found = run(made)
    assert (found.status, found.auc) == ("failed", None)
    assert found.reason is not None
    assert found.reason.startswith("train: training diverged in epoch 1")
    assert not (run_folder(made.folder, CELL.name) / "checkpoints").exists()


def test_any_exception_is_one(job: Callable[..., Job], monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: Any) -> None:
        raise KeyError("weight")

    monkeypatch.setattr(cell_module, "lookup_ms", broken)
    assert run(job(train={"epochs": 1})).reason == "KeyError: 'weight'"


def test_what_the_system_refuses_is_no_result_and_the_cell_goes_on_later(
    job: Callable[..., Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = job(train={"epochs": 1})
    with monkeypatch.context() as patch:
        patch.setattr(cell_module, "lookup_ms", raising(OSError(28, "No space left on device", "out")))
        with pytest.raises(OSError, match="No space left"):
            run_cell(made)
    assert read_result(made.folder, CELL.name) is None
    assert run(made).status == "done"


@pytest.mark.parametrize(
    ("error", "retry"), [(MemoryError(), True), (ConfigError("impossible"), False), (KeyError("a fault"), False)]
)
def test_a_cell_that_ran_out_of_memory_may_be_tried_again(
    error: Exception, retry: bool, job: Callable[..., Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cell_module, "train_cell", raising(error))
    found = run(job())
    assert (found.status, found.retry) == ("failed", retry)


def raising(error: Exception) -> Callable[..., None]:
    def fail(*_: Any) -> None:
        raise error

    return fail


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ConfigError("train: diverged\nmore"), "train: diverged"),
        (MemoryError(), "out of memory"),
        (RuntimeError("[enforce] DefaultCPUAllocator: can't allocate memory: 8 bytes"), "out of memory: [enforce] "),
        (ValueError("  odd   text "), "ValueError: odd text"),
    ],
)
def test_reasons_are_one_line(error: Exception, reason: str) -> None:
    assert describe_error(error).startswith(reason)
    assert "\n" not in describe_error(error)


def epochs_of(job: Job) -> list[dict[str, Any]]:
    return epochs(run_folder(job.folder, job.cell.name))
