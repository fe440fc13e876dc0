from pathlib import Path

import pytest
import torch

from recsys.checkpoint.folder import link_checkpoint
from recsys.checkpoint.load import LoadedState
from recsys.checkpoint.snapshot import table_step
from recsys.checksums import write_checksums
from recsys.ranks import World
from recsys.ranks.seeds import derive_seed
from recsys.training.checkpoints import RunCheckpoints
from recsys.training.progress import TrainProgress
from tests.training.tiny_task import TinyTask


def test_the_clock_restarts_when_a_checkpoint_is_due() -> None:
    checkpoints = RunCheckpoints(Path(), TrainProgress(), minutes=60)
    assert not checkpoints.poll_due()
    checkpoints._clock_start -= 3601
    assert [checkpoints.poll_due(), checkpoints.poll_due()] == [True, False]


def save_as_two_ranks(folder: Path) -> None:
    """Save on one process what then looks like the checkpoint of two, the first of which has no table."""
    task = TinyTask()
    task.load_loss_state({"sum": 3.0, "rows": 4})
    progress = TrainProgress(epoch=1, step=9, best_epoch=1)
    checkpoints = RunCheckpoints(folder, progress, minutes=60, seed=5)
    checkpoints.save(task)
    checkpoints.wait()
    path = folder / "last" / "trainer.pt"
    saved = torch.load(path)
    own = saved["ranks"][0]
    assert own["table_rates"] == [pytest.approx(0.1)]
    saved["ranks"] = [
        own | {"table_rates": [], "table_step": 0},
        own | {"losses": {"sum": 0.5, "rows": 2}, "table_rates": [0.025], "table_step": 7},
    ]
    torch.save(saved, path)
    write_checksums(folder / "last", ["metadata.json", "trainer.pt"])


def test_what_each_of_two_ranks_saved_is_put_together_for_one(tmp_path: Path) -> None:
    save_as_two_ranks(tmp_path)
    task, progress = TinyTask(), TrainProgress()
    assert RunCheckpoints(tmp_path, progress, minutes=60, seed=5).restore(task) == {}
    assert (progress.epoch, progress.step) == (1, 9)
    assert task.loss_state() == {"sum": 3.5, "rows": 6}
    assert task.table_learning_rates() == [pytest.approx(0.025)]
    assert table_step(task.model) == 7
    assert torch.initial_seed() == derive_seed(5, "resumed", 9, 0)


def test_the_state_of_a_schedule_comes_back(tmp_path: Path) -> None:
    checkpoints = RunCheckpoints(tmp_path, TrainProgress(), minutes=60)
    checkpoints.save(TinyTask(), {"gates": torch.tensor([0.5])})
    checkpoints.wait()
    assert checkpoints.restore(TinyTask()) == {"gates": torch.tensor([0.5])}


def test_the_best_checkpoint_is_completed_where_a_kill_came_before_it(tmp_path: Path) -> None:
    save_as_two_ranks(tmp_path)
    link_checkpoint(tmp_path / "last", tmp_path / "old")
    (tmp_path / "best").rename(tmp_path / "gone")
    RunCheckpoints(tmp_path, TrainProgress(), minutes=60).restore(TinyTask())
    assert (tmp_path / "best" / "trainer.pt").samefile(tmp_path / "last" / "trainer.pt")


def test_a_rank_resumes_with_its_own_random_state_where_there_are_as_many_ranks_as_then() -> None:
    states = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        states.append(torch.get_rng_state())
    loaded = LoadedState({}, [{"random": state, "random_cuda": None} for state in states])
    checkpoints = RunCheckpoints(Path(), TrainProgress(step=3), minutes=60, seed=5)
    checkpoints._restore_random_state(loaded, World(1, 2))
    assert torch.equal(torch.get_rng_state(), states[1])
    seeds = set()
    for world in (World(0, 3), World(1, 3), World(2, 3), World(0, 1)):
        checkpoints._restore_random_state(loaded, world)
        seeds.add(torch.initial_seed())
    assert len(seeds) == 3
