"""Checkpoints of one process: what a kill, a full disk or Ctrl-C at any moment leaves."""

import errno
import multiprocessing
import os
import resource
import signal
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torchrec.distributed.model_parallel import DistributedModelParallel

from recsys.checkpoint import storage
from recsys.checkpoint.folder import find_checkpoint
from recsys.checkpoint.load import load_checkpoint
from recsys.checkpoint.saver import AsyncCheckpointer, save
from recsys.checkpoint.snapshot import table_step
from recsys.checksums import checksum
from recsys.errors import DataError
from recsys.ranks.process_group import init_process_group
from tests.checkpoint.small_model import dense_adam, make, train, whole


@pytest.fixture(autouse=True)
def _group_of_one() -> None:
    init_process_group("cpu")


def trained(seed: int = 1) -> tuple[DistributedModelParallel, torch.optim.Optimizer]:
    model = make("table_wise", seed=seed)
    dense = dense_adam(model)
    train(model, dense)
    return model, dense


def step_of(folder: Path) -> Any:
    """Load a checkpoint that was saved with its step."""
    return load_checkpoint(folder, make("table_wise", seed=3)).extra["step"]


def check_equal(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert torch.equal(found[name], value), name


def test_what_is_loaded_is_what_was_saved_whatever_happened_since(tmp_path: Path) -> None:
    model, dense = trained()
    before = whole(model)
    saver = AsyncCheckpointer()
    saver.save(tmp_path / "last", model, dense, {"step": 7}, {"random": torch.arange(3)})
    train(model, dense)
    saver.wait()
    other, other_dense = trained(seed=2)
    loaded = load_checkpoint(tmp_path / "last", other, other_dense)
    check_equal(whole(other), before)
    assert loaded.extra == {"step": 7}
    assert loaded.ranks[0]["random"].tolist() == [0, 1, 2]
    assert other_dense.state_dict()["state"][0]["step"] == 2


def test_the_model_trains_on_as_the_saved_one_would(tmp_path: Path) -> None:
    model, dense = trained()
    save(tmp_path / "last", model, dense, {})
    other, other_dense = trained(seed=2)
    load_checkpoint(tmp_path / "last", other, other_dense)
    train(model, dense)
    train(other, other_dense)
    check_equal(whole(other), whole(model))


def test_saves_come_one_after_the_other(tmp_path: Path) -> None:
    model, dense = trained()
    saver = AsyncCheckpointer()
    for step in range(5):
        saver.save(tmp_path / "last", model, dense, {"step": step}, best=tmp_path / "best" if step == 3 else None)
    saver.wait()
    assert (step_of(tmp_path / "last"), step_of(tmp_path / "best")) == (4, 3)
    assert {path.name for path in tmp_path.iterdir()} == {"best", "last"}


def test_a_copy_is_the_same_files(tmp_path: Path) -> None:
    model, dense = trained()
    saver = AsyncCheckpointer()
    saver.save(tmp_path / "last", model, dense, {"step": 1}, best=tmp_path / "best")
    saver.wait()
    assert (tmp_path / "best" / "trainer.pt").samefile(tmp_path / "last" / "trainer.pt")
    save(tmp_path / "last", model, dense, {"step": 2})
    assert step_of(tmp_path / "best") == 1


def test_a_half_written_checkpoint_is_not_loaded_and_removed_by_the_next_save(tmp_path: Path) -> None:
    model, dense = trained()
    save(tmp_path / "whole", model, dense, {"step": 1})
    (tmp_path / "whole").rename(tmp_path / ".last.tmp")
    (tmp_path / ".last.tmp" / "trainer.pt").write_bytes(b"half")
    assert find_checkpoint(tmp_path / "last") is None
    with pytest.raises(DataError, match="last: no complete checkpoint there"):
        load_checkpoint(tmp_path / "last", model)
    save(tmp_path / "last", model, dense, {"step": 2})
    assert [path.name for path in tmp_path.iterdir()] == ["last"]


@pytest.mark.parametrize("name", ["trainer.pt", "metadata.json", "__0_0.distcp"])
def test_a_damaged_checkpoint_is_said_to_be_one(name: str, tmp_path: Path) -> None:
    model, dense = trained()
    save(tmp_path / "last", model, dense, {"step": 1})
    damaged = tmp_path / "last" / name
    damaged.write_bytes(damaged.read_bytes()[:100])  # shorter than each of them
    with pytest.raises(DataError, match=rf"last/{name}: .* restore the checkpoint from a copy"):
        load_checkpoint(tmp_path / "last", model, dense)


def test_ctrl_c_while_a_checkpoint_is_loaded_is_still_ctrl_c(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    model, dense = trained()
    save(tmp_path / "last", model, dense, {"step": 1})
    monkeypatch.setattr(storage.ChunkLoader, "read_data", interrupted)
    with pytest.raises(KeyboardInterrupt):
        load_checkpoint(tmp_path / "last", model)


def test_a_failed_save_comes_up_once_and_the_next_one_may_succeed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    model, dense = trained()
    saver = AsyncCheckpointer()
    with monkeypatch.context() as patch:
        patch.setattr(storage, "checksum", full)
        saver.save(tmp_path / "last", model, dense, {"step": 1})
        with pytest.raises(OSError, match="No space left on device; there is no checkpoint in it yet"):
            saver.wait()
        saver.save(tmp_path / "last", model, dense, {"step": 1})
        saver.settle()  # says nothing
    saver.wait()
    saver.save(tmp_path / "last", model, dense, {"step": 2})
    saver.wait()
    assert step_of(tmp_path / "last") == 2


def save_into_small_files(folder: Path, limit: int) -> None:
    """Save once, then without room for files above the limit; exit with 3 if that is told as it should be."""
    init_process_group("cpu")
    model = make("table_wise", rows=(2000, 7, 2))
    dense = dense_adam(model)
    save(folder / "last", model, dense, {"step": 1})
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    saver = AsyncCheckpointer()
    saver.save(folder / "last", model, dense, {"step": 2, "more": torch.zeros(100_000)})
    try:
        saver.wait()
    except OSError as error:
        told = (error.errno, error.filename, error.strerror)
        text = "File too large; the last complete checkpoint is still there"
        os._exit(3 if told == (errno.EFBIG, str(folder), text) else 4)
    os._exit(5)


@pytest.mark.slow
@pytest.mark.parametrize("limit", [500, 100_000, 200_000])
def test_a_full_disk_leaves_the_last_checkpoint_and_says_so(limit: int, tmp_path: Path) -> None:
    """The limits fall into the first tensor, a later one, and trainer.pt."""
    child = multiprocessing.get_context("spawn").Process(target=save_into_small_files, args=(tmp_path, limit))
    child.start()
    child.join(60)
    assert child.exitcode == 3
    assert [path.name for path in tmp_path.iterdir()] == ["last"]
    assert load_checkpoint(tmp_path / "last", make("table_wise", rows=(2000, 7, 2))).extra == {"step": 1}


def save_slowly(folder: Path) -> None:
    """Save once, then very slowly."""
    init_process_group("cpu")
    model, dense = trained()
    saver = AsyncCheckpointer()
    saver.save(folder / "last", model, dense, {"step": 1}, best=folder / "best")
    saver.wait()

    def slow(content: memoryview) -> str:
        time.sleep(0.2)
        return checksum(content)

    storage.checksum = slow  # type: ignore[attr-defined]
    saver.save(folder / "last", model, dense, {"step": 2})
    saver.wait()


@pytest.mark.slow
def test_a_kill_while_a_checkpoint_is_written_leaves_the_one_before(tmp_path: Path) -> None:
    child = multiprocessing.get_context("spawn").Process(target=save_slowly, args=(tmp_path,))
    child.start()
    half = tmp_path / ".last.tmp" / "__0_0.distcp"
    deadline = time.monotonic() + 60
    while not half.exists() or not (tmp_path / "best").exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert child.pid is not None
    os.kill(child.pid, signal.SIGKILL)
    child.join(60)
    assert half.exists()
    assert step_of(tmp_path / "last") == 1
    save(tmp_path / "last", *trained(), {"step": 3})
    assert {path.name for path in tmp_path.iterdir()} == {"best", "last"}
    assert step_of(tmp_path / "last") == 3


def test_the_number_of_runs_of_the_tables_kernels_can_be_set_and_asked() -> None:
    model, _ = trained()
    model.fused_optimizer.set_optimizer_step(40)
    assert table_step(model) == 40
