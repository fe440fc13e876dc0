import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from recsys.config import EarlyStopping
from recsys.training.callbacks import EpochReport, Progress, StopEarly

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
