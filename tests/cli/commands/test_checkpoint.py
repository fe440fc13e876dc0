"""`recsys checkpoint`: what is printed, and the exit codes."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from recsys.checkpoint.folder import find_checkpoint
from recsys.checkpoint.saver import AsyncCheckpointer
from recsys.ranks.process_group import init_process_group
from recsys.training.progress import TrainProgress
from tests.checkpoint.small_model import dense_adam, make
from tests.cli.command_line import Recsys

Refused = Callable[..., str]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The folder of a run whose second epoch, the last, was not its best."""
    init_process_group("cpu")
    saver = AsyncCheckpointer()
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "config.yaml").touch()
    for epoch, seed in ((1, 1), (2, 2)):
        model = make("table_wise", seed=seed)
        progress = TrainProgress(epoch=epoch, step=10 * epoch, best_epoch=1, best=0.7, finished=epoch == 2)
        best = folder / "checkpoints" / "best" if epoch == 1 else None
        (folder / "checkpoints").mkdir(exist_ok=True)
        saver.save(
            folder / "checkpoints" / "last", model, dense_adam(model), {"progress": vars(progress)}, {}, best=best
        )
    saver.wait()
    return folder


def lines(text: str) -> list[str]:
    return [" ".join(line.split()) for line in text.splitlines() if line.strip()]


def test_last_and_best_of_a_run_are_shown(recsys: Recsys, run: Path) -> None:
    shown = recsys("checkpoint", "inspect", run)
    assert shown.code == 0
    assert lines(shown.out) == [
        f"{run}/checkpoints/last",
        "complete yes",
        shown_size(run / "checkpoints" / "last"),
        "written by 1 rank",
        "epochs done 2, training is over; 20 steps in all",
        "best epoch 1, its metric 0.70000",
        f"{run}/checkpoints/best",
        "complete yes",
        shown_size(run / "checkpoints" / "best"),
        "written by 1 rank",
        "epochs done 1, batch 0 of the next one; 10 steps in all",
        "best epoch 1, its metric 0.70000",
        "table rows x dim type bytes optimizer's state",
        "t0 11 x 8 float32 352 B 352 B",
        "t1 7 x 8 float32 224 B 224 B",
        "t2 2 x 8 float32 64 B 64 B",
        "other tensors size type bytes",
        "codes 17 x 2 int8 34 B",
        "dense.bias 1 float32 4 B",
        "dense.weight 1 x 24 float32 96 B",
        "nothing 0 x 3 float32 0 B",
    ]


def shown_size(folder: Path) -> str:
    size = sum(path.stat().st_size for path in folder.iterdir())
    return f"on disk {size / 1e3:.1f} kB in 4 files"


def test_a_checkpoint_as_json(recsys: Recsys, run: Path) -> None:
    shown = recsys("checkpoint", "inspect", run / "checkpoints" / "best", "--json")
    (found,) = json.loads(shown.out)
    assert (found["complete"], found["world_size"], found["progress"]["best"]) == (True, 1, 0.7)
    assert {"name": "codes", "table": None, "size": [17, 2]}.items() <= found["tensors"][0].items()


def test_a_checkpoint_that_is_not_complete_ends_with_exit_code_1(recsys: Recsys, run: Path) -> None:
    (run / "checkpoints" / "last" / "trainer.pt").unlink()
    shown = recsys("checkpoint", "inspect", run / "checkpoints" / "last")
    assert shown.code == 1
    assert "complete no: trainer.pt is missing" in lines(shown.out)


def test_equal_checkpoints_end_with_exit_code_0(recsys: Recsys, run: Path) -> None:
    shown = recsys("checkpoint", "diff", run, run / "checkpoints" / "best")
    assert (shown.code, shown.out, shown.err) == (0, "", "equal\n")


def test_differences_are_shown_and_end_with_exit_code_1(recsys: Recsys, run: Path) -> None:
    shown = recsys("checkpoint", "diff", run / "checkpoints" / "last", run)
    assert shown.code == 1
    head, *found = lines(shown.out)
    assert head == "tensor first second largest difference rows that differ"
    assert [line.split()[:2] for line in found] == [
        ["dense.bias", "1"],
        ["dense.weight", "1"],
        ["table", "t0"],
        ["table", "t1"],
        ["table", "t2"],
    ]
    assert all(line.endswith(" 100.00%") for line in found)


def test_a_run_becomes_one_plain_file(recsys: Recsys, run: Path, tmp_path: Path) -> None:
    done = recsys("checkpoint", "convert", run, tmp_path / "model.pt", "--only", "t*.weight")
    assert (done.code, done.err) == (0, f"{tmp_path}/model.pt: 3 tensors\n")
    assert [tuple(value.shape) for value in torch.load(tmp_path / "model.pt").values()] == [(11, 8), (7, 8), (2, 8)]


def test_a_checkpoint_is_written_anew(recsys: Recsys, run: Path, tmp_path: Path) -> None:
    assert recsys("checkpoint", "convert", run, tmp_path / "new", "--to", "checkpoint").code == 0
    assert find_checkpoint(tmp_path / "new") is not None
    assert recsys("checkpoint", "diff", run, tmp_path / "new").code == 0


def test_what_cannot_be_is_refused_with_one_message(refused: Refused, run: Path, tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere"
    assert (
        refused("checkpoint", "inspect", nowhere) == f"{nowhere}: neither the folder of a run nor that of a checkpoint"
    )
    assert (
        refused("checkpoint", "diff", run, nowhere)
        == f"{nowhere}: neither the folder of a run nor that of a checkpoint"
    )
    assert refused("checkpoint", "convert", run, run) == f"{run}: exists already"
    message = refused("checkpoint", "convert", run, nowhere, "--only", "nobody")
    assert message.startswith(f"{run}/checkpoints/best: has no tensor nobody; it has codes, dense.bias")
