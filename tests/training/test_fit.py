from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback

from recsys.checkpoint.folder import find_checkpoint
from recsys.ranks import StepSignals
from recsys.run_folder import RunFolder
from recsys.training.fit import _run
from tests.training.tiny_task import Rest, TinyTask, make_loop, saved_progress


def test_a_save_that_has_begun_is_completed_when_training_fails(tmp_path: Path) -> None:
    class Fail(Callback):
        def on_train_batch_start(self, *_: Any) -> None:
            if find_checkpoint(tmp_path / "last") or task.steps_done == 2:
                raise ValueError("no more")

    task = TinyTask({2: StepSignals(save=True)})
    loop = make_loop(tmp_path, task)
    with pytest.raises(ValueError, match="no more"):
        _run(loop, Rest(loop.progress), [0], RunFolder(tmp_path), [Fail()], torch.device("cpu"))  # type: ignore[arg-type]
    assert saved_progress(tmp_path / "last")["batch"] == 2
