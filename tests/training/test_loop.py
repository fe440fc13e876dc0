"""What the loop does after a batch and at the end of an epoch, with a task that trains nothing."""

import json
from pathlib import Path
from typing import Any

import pytest
from lightning.pytorch import Callback

from recsys.checkpoint.folder import find_checkpoint
from recsys.ranks import StepSignals
from recsys.training.schedule import Schedule
from tests.training.tiny_task import BATCHES, TinyTask, fit, make_loop, saved_progress

GETTING_WORSE: list[dict[str, float]] = [{"auc": 0.9 - i / 10, "logloss": 0.1 + i / 10} for i in range(6)]


def test_last_and_best_are_those_of_the_last_and_best_epoch(tmp_path: Path) -> None:
    loop = fit(make_loop(tmp_path, TinyTask()))
    assert not loop.is_preempted
    progress = saved_progress(tmp_path / "last")
    assert (progress["epoch"], progress["batch"], progress["finished"]) == (2, 0, True)
    assert (tmp_path / "best" / "trainer.pt").samefile(tmp_path / "last" / "trainer.pt")


def test_a_signal_to_save_is_obeyed_after_its_batch(tmp_path: Path) -> None:
    seen: list[bool] = []

    class Look(Callback):
        def on_train_batch_start(self, *_: Any) -> None:
            loop.checkpoints.wait()
            seen.append(find_checkpoint(tmp_path / "last") is not None)

    loop = make_loop(tmp_path, TinyTask({2: StepSignals(save=True)}), train={"epochs": 1})
    fit(loop, Look())
    assert seen == [False, False, True, True]


def test_a_signal_to_stop_is_obeyed_after_its_batch_and_without_a_validation(tmp_path: Path) -> None:
    task = TinyTask({BATCHES + 2: StepSignals(stop=True)})
    loop = fit(make_loop(tmp_path, task))
    assert loop.is_preempted
    assert (task.steps_done, task.validations) == (BATCHES + 2, 1)
    progress = saved_progress(tmp_path / "last")
    assert (progress["epoch"], progress["batch"], progress["finished"]) == (1, 2, False)
    assert saved_progress(tmp_path / "best")["step"] == BATCHES


def test_an_epoch_without_a_number_is_not_best_and_the_line_says_so(tmp_path: Path) -> None:
    """Such epochs are waited for as others without improvement; the last of them can still be evaluated."""
    said: list[str] = []
    nothing = [{"auc": float("nan"), "logloss": 0.5}] * 9
    train = {
        "epochs": 9,
        "early_stopping": {"patience": 3},
        "lr_schedule": {"name": "plateau", "patience": 2, "factor": 0.5},
    }
    task = TinyTask(metrics=nothing)
    loop = fit(make_loop(tmp_path, task, train=train, log=said.append))
    assert (loop.progress.epoch, loop.progress.best, task.rates) == (3, None, 0.5)
    assert len([line for line in said if "(best)" in line]) == 0
    assert "warning: AUC of the validation rows is not defined, so that this epoch is not the best" in said
    assert saved_progress(tmp_path / "best")["epoch"] == 3
    assert all(json.loads(line)["valid.auc"] is None for line in (tmp_path / "metrics.jsonl").read_text().splitlines())


@pytest.mark.parametrize("epoch", [1, 2])
def test_a_signal_to_stop_after_the_last_batch_of_an_epoch_is_obeyed_after_validation(
    epoch: int, tmp_path: Path
) -> None:
    loop = fit(make_loop(tmp_path, TinyTask({epoch * BATCHES: StepSignals(stop=True)})))
    assert loop.is_preempted
    progress = saved_progress(tmp_path / "last")
    assert (progress["epoch"], progress["batch"], progress["finished"]) == (epoch, 0, epoch == 2)


def test_a_signal_to_stop_that_comes_during_a_validation_is_obeyed_after_it(tmp_path: Path) -> None:
    loop = fit(make_loop(tmp_path, TinyTask(polled=StepSignals(stop=True))))
    assert loop.is_preempted
    assert saved_progress(tmp_path / "last")["epoch"] == 1


@pytest.mark.parametrize(("patience", "num_epochs"), [(1, 2), (2, 3), (9, 6)])
def test_training_stops_when_patience_is_used_up(patience: int, num_epochs: int, tmp_path: Path) -> None:
    train = {"epochs": 6, "early_stopping": {"patience": patience}}
    loop = fit(make_loop(tmp_path, TinyTask(metrics=GETTING_WORSE), train=train))
    assert loop.progress.epoch == num_epochs
    assert loop.progress.best_epoch == 1
    assert saved_progress(tmp_path / "last")["finished"]


def test_learning_rates_are_reduced_after_every_patience_epochs_without_improvement(tmp_path: Path) -> None:
    task = TinyTask(metrics=GETTING_WORSE)
    fit(make_loop(tmp_path, task, train={"epochs": 6, "lr_schedule": {"name": "plateau", "patience": 2}}))
    assert task.rates == pytest.approx(0.01)  # after epochs 3 and 5


def test_learning_rates_follow_the_schedule_step_by_step_over_all_epochs(tmp_path: Path) -> None:
    task = TinyTask()
    fit(make_loop(tmp_path, task, train={"epochs": 2, "lr_schedule": {"name": "linear", "warmup": 0.25}}))
    assert task.factors == pytest.approx([1 / 2, 1, 1, 5 / 6, 4 / 6, 3 / 6, 2 / 6, 1 / 6])


def test_the_best_epoch_is_that_of_the_lowest_value_of_a_metric_where_lower_is_better(tmp_path: Path) -> None:
    loop = fit(make_loop(tmp_path, TinyTask(metrics=GETTING_WORSE[::-1]), metric="logloss"))
    assert loop.progress.best_epoch == 2


def test_a_callback_of_the_user_may_stop_training_and_that_is_final(tmp_path: Path) -> None:
    class Enough(Callback):
        def on_validation_end(self, trainer: Any, *_: Any) -> None:
            trainer.should_stop = trainer.callback_metrics["valid.auc"] > 0.5

    loop = fit(make_loop(tmp_path, TinyTask(), train={"epochs": 5}), Enough())
    assert loop.progress.epoch == 1
    assert saved_progress(tmp_path / "last")["finished"]


def test_the_order_of_the_users_callbacks_changes_nothing(tmp_path: Path) -> None:
    class Observe(Callback):
        pass

    train = {"epochs": 4, "early_stopping": {"patience": 2}, "lr_schedule": {"name": "plateau", "factor": 0.5}}
    lines = []
    for name, callbacks in {"none": [], "some": [Observe(), Callback()], "reversed": [Callback(), Observe()]}.items():
        fit(make_loop(tmp_path / name, TinyTask(metrics=GETTING_WORSE), train=train), *callbacks)
        of_run = [json.loads(line) for line in (tmp_path / name / "metrics.jsonl").read_text().splitlines()]
        lines.append([line | {"rows_per_second": 0} for line in of_run])
    assert lines[0] == lines[1] == lines[2]


class TwoStages(Schedule):
    """Ends its first stage after the first epoch."""

    told: list[str] = []  # noqa: RUF012

    def __init__(self, context: Any) -> None:
        super().__init__(context)
        context.progress.num_stages = 2

    def is_stage_over(self) -> bool:
        return self.context.progress.stage == 0

    def start_next_stage(self) -> None:
        self.told.append(f"after epoch {self.context.progress.epoch}")
        self.context.progress.start_next_stage()

    def before_validation(self) -> None:
        self.told.append("validation")

    def state_dict(self) -> dict[str, Any]:
        return {"told": len(self.told)}


def test_a_schedule_starts_its_stage_after_the_epoch_is_judged_and_before_it_is_saved(tmp_path: Path) -> None:
    TwoStages.told.clear()
    log: list[str] = []
    saved: list[tuple[int, int, bool]] = []
    loop = make_loop(tmp_path, TinyTask(metrics=GETTING_WORSE), schedule=TwoStages, log=log.append)
    save = loop.checkpoints.save

    def save_and_note(*arguments: Any) -> None:
        save(*arguments)
        saved.append((loop.progress.epoch, loop.progress.stage, loop.checkpoints._is_best()))

    loop.checkpoints.save = save_and_note  # type: ignore[method-assign]
    fit(loop)
    assert saved == [(1, 1, False), (2, 1, True)]
    assert TwoStages.told == ["validation", "after epoch 1", "validation"]
    assert loop.progress.best_epoch == 2  # worse than epoch 1, but of the last stage
    assert [line.endswith("(best)") for line in log] == [True, True]
    assert saved_progress(tmp_path / "best")["stage"] == 1


class OverAfterTwo(Schedule):
    """Ends training after the second epoch."""

    def is_over(self) -> bool:
        epoch: int = self.context.progress.epoch
        return epoch == 2


def test_a_schedule_may_end_training_before_its_epochs_are_over(tmp_path: Path) -> None:
    loop = fit(make_loop(tmp_path, TinyTask(), schedule=OverAfterTwo, train={"epochs": 9}))
    progress = saved_progress(tmp_path / "last")
    assert (progress["epoch"], progress["finished"], loop.is_preempted) == (2, True, False)
