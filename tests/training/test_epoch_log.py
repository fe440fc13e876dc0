import json
from pathlib import Path

from recsys.training.epoch_log import EpochLog, epoch_figures
from recsys.training.progress import TrainProgress


def test_lines_of_epochs_that_a_resumed_run_writes_again_are_dropped(tmp_path: Path) -> None:
    log = EpochLog(tmp_path / "metrics.jsonl")
    log.drop_after(2)  # there is no file yet
    for epoch in (1, 2, 3):
        log.write({"epoch": epoch})
    log.drop_after(2)
    assert (tmp_path / "metrics.jsonl").read_text().splitlines() == ['{"epoch": 1}', '{"epoch": 2}']


def test_a_rank_without_a_file_writes_nothing(tmp_path: Path) -> None:
    EpochLog(None).write({"epoch": 1})
    EpochLog(None).drop_after(1)
    assert list(tmp_path.iterdir()) == []


def test_the_stage_is_written_only_if_there_are_several() -> None:
    progress = TrainProgress(epoch=1, step=4)
    assert "stage" not in epoch_figures(progress, {"auc": 0.5}, train_loss=0.1, lr=0.01)
    progress.num_stages = 2
    figures = epoch_figures(progress, {"auc": 0.5}, train_loss=0.1, lr=0.01)
    assert json.dumps(figures).startswith('{"epoch": 1, "step": 4, "stage": 1, "train.loss": 0.1, "valid.auc": 0.5')
