import errno
import json
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from recsys.training.epoch_log import EpochLog, epoch_figures
from recsys.training.progress import TrainProgress


def test_lines_of_epochs_that_a_resumed_run_writes_again_are_dropped(tmp_path: Path) -> None:
    log = EpochLog(tmp_path / "metrics.jsonl")
    log.drop_after(2)  # there is no file yet
    for epoch in (1, 2, 3):
        log.write({"epoch": epoch})
    log.drop_after(2)
    assert (tmp_path / "metrics.jsonl").read_text().splitlines() == ['{"epoch": 1}', '{"epoch": 2}']


def test_half_a_line_of_a_process_that_was_killed_is_dropped(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text('{"epoch": 1}\n{"epo')
    EpochLog(tmp_path / "metrics.jsonl").drop_after(1)
    assert (tmp_path / "metrics.jsonl").read_text() == '{"epoch": 1}\n'


def test_a_line_that_finds_no_room_is_not_written_by_half(tmp_path: Path) -> None:
    log = EpochLog(tmp_path / "metrics.jsonl")
    log.write({"epoch": 1, "a long name" * 100: 0.5})
    before = (tmp_path / "metrics.jsonl").read_text()
    with file_size_limit(len(before) + 5), pytest.raises(OSError, match=r"metrics\.jsonl") as refused:
        log.write({"epoch": 2})
    assert refused.value.errno in (errno.ENOSPC, errno.EFBIG)
    assert (tmp_path / "metrics.jsonl").read_text() == before


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """Let the system write no file beyond a size; the write that comes to it is short."""
    former = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, former[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, former)
        signal.signal(signal.SIGXFSZ, handler)


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
