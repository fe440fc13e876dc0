import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from recsys.checkpoint.folder import find_checkpoint, link_checkpoint
from recsys.checkpoint.load import LoadedState
from recsys.checkpoint.snapshot import table_step
from recsys.config import EarlyStopping
from recsys.ranks import StepSignals, World
from recsys.ranks.process_group import init_process_group
from recsys.ranks.seeds import derive_seed
from recsys.training.callbacks import Checkpoints, EpochReport, Progress, StopEarly
from recsys.training.strategy import TorchRecStrategy
from recsys.training.task import CtrTask
from tests.checkpoint.small_model import dense_adam, make

NAN = float("nan")


@pytest.mark.parametrize(
    ("values", "best_epoch", "waited"),
    [
        ([0.6, 0.7, 0.65], 2, 1),
        ([0.6, 0.6, 0.6], 1, 2),
        ([NAN, 0.6], 2, 0),
        ([0.6, NAN, NAN], 1, 2),
        ([NAN, NAN, NAN], 1, 2),
    ],
)
def test_the_best_epoch_is_the_first_of_the_highest(values: list[float], best_epoch: int, waited: int) -> None:
    progress = Progress()
    for value in values:
        progress.judge(value, higher_is_better=True)
    assert (progress.epoch, progress.best_epoch, progress.waited) == (len(values), best_epoch, waited)


def test_the_best_epoch_by_logloss_is_that_of_the_lowest() -> None:
    progress = Progress()
    for value in [0.5, 0.4, 0.45]:
        progress.judge(value, higher_is_better=False)
    assert (progress.best, progress.best_epoch, progress.waited) == (0.4, 2, 1)


@pytest.mark.parametrize(("waited", "stops"), [(0, False), (1, False), (2, True), (3, True)])
def test_training_stops_when_patience_is_used_up(waited: int, stops: bool) -> None:
    trainer = SimpleNamespace(should_stop=False)
    StopEarly(Progress(waited=waited), EarlyStopping(patience=2)).on_validation_end(trainer, None)  # type: ignore
    assert trainer.should_stop is stops


def test_lines_of_epochs_that_will_come_again_are_dropped(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(json.dumps({"epoch": epoch}) + "\n" for epoch in (1, 2, 3)))
    EpochReport(Progress(epoch=2), path, metric="auc", say=print).forget_the_future()
    assert path.read_text().splitlines() == ['{"epoch": 1}', '{"epoch": 2}']


CPU = torch.device("cpu")
BATCHES = 4
"""Of an epoch."""


class Task(CtrTask):
    """Trains nothing; asks for the given signals after the given steps."""

    def __init__(self, signals_at: dict[int, StepSignals] | None = None, signals: StepSignals = StepSignals()) -> None:  # noqa: B008
        LightningModule.__init__(self)
        init_process_group("cpu")
        self.automatic_optimization = False
        self.model = make("table_wise")
        self.optimizer = dense_adam(self.model)
        self.given = signals_at or {}
        self.poll_signals = lambda: signals
        self.signals = StepSignals()
        self.steps_done = 0
        self._loss_sum = torch.zeros((), dtype=torch.float64)
        self._rows_seen = 0

    def training_step(self, *_: Any) -> None:
        self.steps_done += 1
        self.signals = self.given.get(self.steps_done, StepSignals())

    def validation_step(self, *_: Any) -> None: ...

    def on_validation_start(self) -> None: ...

    def on_validation_epoch_start(self) -> None: ...

    def on_validation_epoch_end(self) -> None: ...


class Count(Callback):
    """Counts batches and judges each epoch as better than the one before."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress

    def on_train_batch_end(self, *_: Any) -> None:
        self.progress.batch += 1
        self.progress.step += 1

    def on_validation_end(self, *_: Any) -> None:
        self.progress.judge(self.progress.epoch, higher_is_better=True)


class Rest:
    """What is left of an epoch; without a length, as in a run."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.progress.batch, BATCHES))


def fit(folder: Path, task: Task, *callbacks: Callback, progress: Progress | None = None) -> Checkpoints:
    """Train for two epochs under Lightning."""
    progress = progress or Progress()
    keeper = Checkpoints(folder, progress, minutes=60, epochs=2, seed=5)
    trainer = Trainer(
        accelerator="cpu",
        strategy=TorchRecStrategy(CPU),
        max_epochs=2,
        logger=False,
        callbacks=[Count(progress), *callbacks, keeper],
        enable_progress_bar=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
    )
    trainer.fit(task, Rest(progress), [0])
    return keeper


def saved_progress(folder: Path) -> dict[str, Any]:
    progress: dict[str, Any] = torch.load(folder / "trainer.pt")["extra"]["progress"]
    return progress


def test_last_and_best_are_those_of_the_last_and_best_epoch(tmp_path: Path) -> None:
    keeper = fit(tmp_path, Task())
    assert not keeper.stopped
    progress = saved_progress(tmp_path / "last")
    assert (progress["epoch"], progress["batch"], progress["finished"]) == (2, 0, True)
    assert (tmp_path / "best" / "trainer.pt").samefile(tmp_path / "last" / "trainer.pt")


def test_an_order_to_save_is_obeyed_after_its_batch(tmp_path: Path) -> None:
    class Look(Callback):
        def on_train_batch_start(self, *_: Any) -> None:
            keeper.wait()
            seen.append(find_checkpoint(tmp_path / "last") is not None)

    progress = Progress()
    keeper = Checkpoints(tmp_path, progress, minutes=60, epochs=2)
    seen: list[bool] = []
    task = Task({2: StepSignals(save=True)})
    trainer = Trainer(
        accelerator="cpu",
        strategy=TorchRecStrategy(CPU),
        max_epochs=1,
        limit_val_batches=0,
        logger=False,
        callbacks=[Count(progress), Look(), keeper],
        enable_progress_bar=False,
        enable_checkpointing=False,
        enable_model_summary=False,
    )
    trainer.fit(task, Rest(progress))
    assert seen == [False, False, True, True]
    assert saved_progress(tmp_path / "last")["batch"] == 2


def test_an_order_to_stop_is_obeyed_after_its_batch_and_without_a_validation(tmp_path: Path) -> None:
    task = Task({BATCHES + 2: StepSignals(stop=True)})
    keeper = fit(tmp_path, task)
    assert keeper.stopped
    assert task.steps_done == BATCHES + 2
    progress = saved_progress(tmp_path / "last")
    assert (progress["epoch"], progress["batch"], progress["finished"]) == (1, 2, False)
    assert saved_progress(tmp_path / "best")["step"] == BATCHES


@pytest.mark.parametrize("epoch", [1, 2])
def test_an_order_to_stop_after_the_last_batch_of_an_epoch_is_obeyed_after_validation(
    epoch: int, tmp_path: Path
) -> None:
    keeper = fit(tmp_path, Task({epoch * BATCHES: StepSignals(stop=True)}))
    assert keeper.stopped
    progress = saved_progress(tmp_path / "last")
    assert (progress["epoch"], progress["batch"], progress["finished"]) == (epoch, 0, epoch == 2)


def test_a_wish_to_stop_that_comes_up_in_a_validation_is_obeyed_after_it(tmp_path: Path) -> None:
    keeper = fit(tmp_path, Task(signals=StepSignals(stop=True)))
    assert keeper.stopped
    assert saved_progress(tmp_path / "last")["epoch"] == 1


def test_a_save_that_has_begun_is_completed_when_training_fails(tmp_path: Path) -> None:
    class Fail(Callback):
        def on_train_batch_start(self, *_: Any) -> None:
            if find_checkpoint(tmp_path / "last") or task.steps_done == 2:
                raise ValueError("no more")

    task = Task({2: StepSignals(save=True)})
    with pytest.raises(ValueError, match="no more"):
        fit(tmp_path, task, Fail())
    assert saved_progress(tmp_path / "last")["batch"] == 2


def test_the_clock_starts_anew_when_it_was_time() -> None:
    keeper = Checkpoints(Path(), Progress(), minutes=60, epochs=1)
    assert not keeper.due()
    keeper._since -= 3601
    assert [keeper.due(), keeper.due()] == [True, False]


def saved_by_two(folder: Path) -> Progress:
    """Save on one process what then looks like the checkpoint of two, the first of which has no table."""
    task = Task()
    task.set_losses({"sum": 3.0, "rows": 4})
    progress = Progress(epoch=1, step=9, best_epoch=1)
    keeper = Checkpoints(folder, progress, minutes=60, epochs=2, seed=5)
    keeper._save(task)
    keeper.wait()
    path = folder / "last" / "trainer.pt"
    saved = torch.load(path)
    own = saved["ranks"][0]
    assert own["table_rates"] == [pytest.approx(0.1)]
    saved["ranks"] = [
        own | {"table_rates": [], "table_step": 0},
        own | {"losses": {"sum": 0.5, "rows": 2}, "table_rates": [0.025], "table_step": 7},
    ]
    torch.save(saved, path)
    return progress


def test_what_two_ranks_had_apart_is_put_together_for_one(tmp_path: Path) -> None:
    saved_by_two(tmp_path)
    task, progress = Task(), Progress()
    Checkpoints(tmp_path, progress, minutes=60, epochs=2, seed=5).restore(task)
    assert (progress.epoch, progress.step) == (1, 9)
    assert task.losses() == {"sum": 3.5, "rows": 6}
    assert task.table_rates() == [pytest.approx(0.025)]
    assert table_step(task.model) == 7
    assert torch.initial_seed() == derive_seed(5, "resumed", 9, 0)


def test_the_best_epoch_is_completed_where_the_kill_came_before_its_copy(tmp_path: Path) -> None:
    saved_by_two(tmp_path)
    link_checkpoint(tmp_path / "last", tmp_path / "old")
    (tmp_path / "best").rename(tmp_path / "gone")
    Checkpoints(tmp_path, Progress(), minutes=60, epochs=2).restore(Task())
    assert (tmp_path / "best" / "trainer.pt").samefile(tmp_path / "last" / "trainer.pt")


def test_a_rank_goes_on_with_its_own_random_state_where_there_are_as_many_as_then() -> None:
    states = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        states.append(torch.get_rng_state())
    loaded = LoadedState({}, [{"random": state, "random_cuda": None} for state in states])
    keeper = Checkpoints(Path(), Progress(step=3), minutes=60, epochs=1, seed=5)
    keeper._set_random(loaded, World(1, 2))
    assert torch.equal(torch.get_rng_state(), states[1])
    seeds = set()
    for world in (World(0, 3), World(1, 3), World(2, 3), World(0, 1)):
        keeper._set_random(loaded, world)
        seeds.add(torch.initial_seed())
    assert len(seeds) == 3
