"""A run that was stopped and resumed ends bit for bit as one that was not."""

import shutil
from pathlib import Path

import polars as pl
import pytest
import torch

from recsys.config import Config
from recsys.training.run import TrainResult
from tests.training.interruptions import (
    STEPS,
    Stop,
    check_same,
    interrupted_in_batch,
    interrupted_in_validation,
    parameters,
    raise_at_line,
)
from tests.training.logs import clicks, epochs, make_config, run, steady, write_log

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("step", [1, 5, STEPS, STEPS + 1, STEPS + 6, 2 * STEPS, 2 * STEPS + 1, 3 * STEPS])
def test_a_run_stopped_at_any_batch_ends_as_if_it_had_not_been(
    step: int, often: Config, whole: TrainResult, log: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    with interrupted_in_batch(step):
        run(log, folder, often)
    shown: list[tuple[str, int, int | None]] = []
    resumed = run(log, folder, often, resume=True, on_progress=lambda *told: shown.append(told))
    assert steady(resumed.metrics) == steady(whole.metrics)
    check_same(folder, whole.folder)
    rows = [done for stage, done, total in shown if (stage, total) == ("epoch 3", 1600)]
    assert rows == [*range(128, 1600, 128), 1600][-len(rows) :]


@pytest.mark.parametrize("step", [3, STEPS + 6])
def test_a_run_goes_on_from_the_last_epoch_where_there_is_no_newer_checkpoint(
    step: int, rarely: Config, whole: TrainResult, log: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    with interrupted_in_batch(step):
        run(log, folder, rarely)
    run(log, folder, rarely, resume=True)
    check_same(folder, whole.folder)


def test_a_run_stopped_while_it_reports_an_epoch_has_that_epoch_once(
    rarely: Config, whole: TrainResult, log: Path, tmp_path: Path
) -> None:
    with pytest.raises(Stop):
        run(log, tmp_path / "run", rarely, log=raise_at_line("epoch 2"))
    assert [line["epoch"] for line in epochs(tmp_path / "run")] == [1, 2]
    run(log, tmp_path / "run", rarely, resume=True)
    check_same(tmp_path / "run", whole.folder)


def test_a_run_may_be_stopped_more_than_once(often: Config, whole: TrainResult, log: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with interrupted_in_batch(4):
        run(log, folder, often)
    with interrupted_in_batch(STEPS + 2):
        run(log, folder, often, resume=True)
    run(log, folder, often, resume=True)
    check_same(folder, whole.folder)


@pytest.mark.parametrize("epoch", [1, 2, 3])
def test_a_run_stopped_while_it_is_validated_is_validated_again(
    epoch: int, often: Config, whole: TrainResult, log: Path, tmp_path: Path
) -> None:
    with interrupted_in_validation(epoch):
        run(log, tmp_path / "run", often)
    run(log, tmp_path / "run", often, resume=True)
    check_same(tmp_path / "run", whole.folder)


def test_a_finished_run_is_only_evaluated_again(whole: TrainResult, often: Config, log: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(whole.folder, tmp_path / "run")
    shutil.rmtree(folder / "predictions")
    (folder / "metrics.json").unlink()
    said: list[str] = []
    again = run(log, folder, often, resume=True, log=said.append)
    assert said == ["training was over after epoch 3"]
    assert again.metrics == whole.metrics  # seconds and rows per second too
    check_same(folder, whole.folder)
    saved = torch.load(folder / "checkpoints" / "last" / "trainer.pt")
    assert saved["extra"]["progress"]["step"] == 3 * STEPS


def test_an_early_stop_is_final(tmp_path: Path) -> None:
    folder = write_log(tmp_path / "log")
    clicks(400, seed=1).with_columns(click=1 - pl.col("click")).write_parquet(folder / "valid.parquet")
    config = make_config(tmp_path, train={"epochs": 9, "early_stopping": {"metric": "auc", "patience": 1}})
    first = run(folder, tmp_path / "run", config)
    again = run(folder, tmp_path / "run", config, resume=True)
    assert again.metrics == first.metrics
    assert [line["epoch"] for line in epochs(tmp_path / "run")] == [1, 2]


def test_patience_goes_on_counting_after_a_stop(tmp_path: Path) -> None:
    folder = write_log(tmp_path / "log")
    clicks(400, seed=1).with_columns(click=1 - pl.col("click")).write_parquet(folder / "valid.parquet")
    config = make_config(tmp_path, train={"epochs": 9, "early_stopping": {"metric": "auc", "patience": 3}})

    with pytest.raises(Stop):
        run(folder, tmp_path / "run", config, log=raise_at_line("epoch 3"))
    run(folder, tmp_path / "run", config, resume=True)
    assert [line["epoch"] for line in epochs(tmp_path / "run")] == [1, 2, 3, 4]


@pytest.mark.parametrize(("optimizer", "lr"), [("rowwise_adagrad", 0.5), ("adagrad", 0.5), ("sgd", 20.0)])
def test_a_learning_rate_of_almost_nothing_is_taken_up_by_tables_and_dense_part(
    optimizer: str, lr: float, tmp_path: Path
) -> None:
    folder = write_log(tmp_path / "log")
    clicks(400, seed=1).with_columns(click=1 - pl.col("click")).write_parquet(folder / "valid.parquet")
    config = make_config(
        tmp_path,
        train={
            "epochs": 4,
            "lr_schedule": {"name": "plateau", "factor": 1e-20},
            "sparse_optimizer": {"name": optimizer, "lr": lr},
        },
    )

    with pytest.raises(Stop):
        run(folder, tmp_path / "run", config, log=raise_at_line("epoch 3"))  # reduced after epoch 2, of which `last` is
    assert [line["valid.auc"] < 0.5 for line in epochs(tmp_path / "run")[1:]] == [True, True]
    before = parameters(tmp_path / "run", "last")
    first = parameters(tmp_path / "run", "best")
    run(folder, tmp_path / "run", config, resume=True)
    after = parameters(tmp_path / "run", "last")
    for name, value in before.items():
        assert torch.equal(after[name], value), f"{name} moved"
        assert not torch.equal(first[name], value), f"{name} never moved"
