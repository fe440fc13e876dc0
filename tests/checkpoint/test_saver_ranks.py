"""Checkpoints of two ranks: what they hold, how they are loaded elsewhere, what a failing disk leaves.

Starting processes takes seconds, so that all that two ranks do is done in two goes.
"""

import errno
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, distributed
from torch.distributed._shard.sharded_tensor.api import ShardedTensor

from recsys.checkpoint.load import LoadedState, load_checkpoint
from recsys.checkpoint.metadata import read_metadata
from recsys.checkpoint.saver import AsyncCheckpointer, _Writer
from recsys.checkpoint.snapshot import snapshot, tensors_of
from recsys.errors import DataError
from recsys.ranks import current_world
from recsys.ranks.process_group import init_process_group
from tests.checkpoint.small_model import dense_adam, make, small_chunks, train, whole
from tests.ranks.run_on_ranks import run_on_ranks

pytestmark = pytest.mark.ranks

FULL = OSError(errno.ENOSPC, "No space left on device")


def save_trained(folder: Path, kind: str, optimizer: str) -> dict[str, Tensor]:
    """Train, save in small pieces, and train on while that is written; return what was to be saved."""
    model = make(kind, optimizer, seed=1)
    dense = dense_adam(model)
    train(model, dense)
    before = whole(model) | {f"adam.{key}": value.clone() for key, value in dense.state_dict()["state"][0].items()}
    saver = AsyncCheckpointer()
    with small_chunks():
        saver.save(folder, model, dense, {"step": 2}, {"rank": distributed.get_rank()})
    train(model, dense)
    model.module.codes.zero_()
    saver.wait()
    return before


def load(source: Path, kind: str, optimizer: str) -> tuple[dict[str, Tensor], LoadedState]:
    """Load into another model; return what it then holds."""
    model = make(kind, optimizer, seed=2)
    dense = dense_adam(model)
    loaded = load_checkpoint(source, model, dense)
    adam = {f"adam.{key}": value for key, value in dense.state_dict()["state"][0].items()}
    return whole(model) | adam, loaded


def is_copied(kind: str) -> bool:
    """Tell whether what is staged shares no memory with what is trained."""
    live = tensors_of(make(kind))
    shards = [value.local_shards() for value in live.values() if isinstance(value, ShardedTensor)]
    held = [shard.tensor for of_tensor in shards for shard in of_tensor]
    held += [value for value in live.values() if not isinstance(value, ShardedTensor)]
    staged = {
        chunk.values.untyped_storage().data_ptr() for chunk in snapshot(live, current_world()) if chunk.values.numel()
    }
    return not staged & {tensor.untyped_storage().data_ptr() for tensor in held}


def save_and_fail(folder: Path, failing: int, error: BaseException) -> tuple[Any, bool, Any]:
    """Save, then fail on one rank, then save again; return what that raised, and what it left."""
    model = make("row_wise")
    dense = dense_adam(model)
    saver = AsyncCheckpointer()
    saver.save(folder, model, dense, {"step": 1})
    saver.wait()
    raised: Any = None
    with pytest.MonkeyPatch.context() as patch:
        if distributed.get_rank() == failing:

            def write_data(*_: object) -> None:
                raise error

            patch.setattr(_Writer, "write_data", write_data)
        saver.save(folder, model, dense, {"step": 2})
        try:
            saver.save(folder, model, dense, {"step": 3})
        except Exception as caught:
            raised = caught
    distributed.barrier()
    left = (folder.parent / ".last.tmp").exists()
    return raised, left, load_checkpoint(folder, model).extra


def first_go(folder: Path) -> dict[str, Any]:
    return {
        "row_wise": save_trained(folder / "row_wise", "row_wise", "adagrad"),
        "table_wise": save_trained(folder / "table_wise", "table_wise", "rowwise_adagrad"),
        "column_wise": save_trained(folder / "column_wise", "column_wise", "adagrad"),
        "copied": {kind: is_copied(kind) for kind in ("row_wise", "column_wise", "table_wise")},
        "full 0": save_and_fail(folder / "full 0" / "last", 0, FULL),
        "full 1": save_and_fail(folder / "full 1" / "last", 1, FULL),
        "other": save_and_fail(folder / "other" / "last", 1, ValueError("why ever")),
    }


def second_go(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = {
        f"{name} -> {kind}": load(folder / name, kind, optimizer)
        for name, kind, optimizer in (
            ("row_wise at 1", "column_wise", "adagrad"),
            ("row_wise at 1", "table_wise", "adagrad"),
            ("column_wise", "row_wise", "adagrad"),
            ("table_wise at 1", "row_wise", "rowwise_adagrad"),
            ("table_wise at 1", "table_wise", "rowwise_adagrad"),
        )
    }
    with pytest.raises(DataError) as refused:
        load_checkpoint(folder / "row_wise", make("table_wise", "rowwise_adagrad", rows=(11, 8)))
    return found | {"refused": str(refused.value)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("checkpoints")


@pytest.fixture(scope="module")
def first(folder: Path) -> list[dict[str, Any]]:
    return run_on_ranks(first_go, folder)


@pytest.fixture(scope="module")
def alone(folder: Path, first: list[dict[str, Any]]) -> dict[str, Any]:
    """What one process loads; it saves that again."""
    init_process_group("cpu")
    found = {}
    for name, kind, optimizer in (
        ("row_wise", "table_wise", "adagrad"),
        ("table_wise", "row_wise", "rowwise_adagrad"),
        ("column_wise", "table_wise", "adagrad"),
    ):
        found[name] = load(folder / name, kind, optimizer)
        model = make(kind, optimizer, seed=3)
        dense = dense_adam(model)
        loaded = load_checkpoint(folder / name, model, dense)
        checkpoint_of_one = AsyncCheckpointer()
        checkpoint_of_one.save(folder / f"{name} at 1", model, dense, loaded.extra, {"rank": 0})
        checkpoint_of_one.wait()
    return found


@pytest.fixture(scope="module")
def second(folder: Path, alone: dict[str, Any]) -> list[dict[str, Any]]:
    return run_on_ranks(second_go, folder)


def check_equal(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert torch.equal(found[name], value), name


@pytest.mark.parametrize("name", ["row_wise", "table_wise", "column_wise"])
def test_one_process_loads_what_two_ranks_have_saved(
    name: str, first: list[dict[str, Any]], alone: dict[str, Any]
) -> None:
    found, loaded = alone[name]
    saved = first[0][name]
    assert sum(name.startswith("model.lookup") for name in saved) == 3
    assert all(value.any() for name, value in saved.items() if name.startswith("sparse."))
    check_equal(found, saved)
    assert loaded == ({"step": 2}, [{"rank": 0}, {"rank": 1}])


@pytest.mark.parametrize(
    ("way", "name"),
    [
        ("row_wise at 1 -> column_wise", "row_wise"),
        ("row_wise at 1 -> table_wise", "row_wise"),
        ("column_wise -> row_wise", "column_wise"),
        ("table_wise at 1 -> row_wise", "table_wise"),
        ("table_wise at 1 -> table_wise", "table_wise"),
    ],
)
def test_two_ranks_load_what_one_process_or_another_sharding_has_saved(
    way: str, name: str, first: list[dict[str, Any]], second: list[dict[str, Any]]
) -> None:
    for of_rank in second:
        found, loaded = of_rank[way]
        check_equal(found, first[0][name])
        assert loaded.extra == {"step": 2}
        assert len(loaded.ranks) == (1 if "at 1" in way else 2)


def test_what_is_being_saved_shares_nothing_with_training(first: list[dict[str, Any]]) -> None:
    for of_rank in first:
        assert of_rank["copied"] == {"row_wise": True, "column_wise": True, "table_wise": True}


@pytest.mark.parametrize("name", ["row_wise", "table_wise", "column_wise"])
def test_every_value_is_written_once(name: str, folder: Path, first: list[dict[str, Any]]) -> None:
    entries = read_metadata(folder / name)
    assert entries.keys() == {name for name in first[0][name] if not name.startswith("adam.")}
    for tensor, entry in entries.items():
        assert sum(torch.Size(piece.sizes).numel() for piece in entry.chunks) == first[0][name][tensor].numel(), tensor
    assert len(entries["model.codes"].chunks) == 1
    assert len(entries["model.lookup.embedding_bags.t0.weight"].chunks) == 6  # of 64 bytes
    files = {path.name for path in (folder / name).iterdir()}
    assert files == {"checksums.json", "metadata.json", "__0_0.distcp", "__1_0.distcp", "trainer.pt"}


@pytest.mark.parametrize("failing", [0, 1])
def test_a_full_disk_of_one_rank_is_reported_by_all_and_leaves_the_last_checkpoint(
    failing: int, folder: Path, first: list[dict[str, Any]]
) -> None:
    for of_rank in first:
        raised, is_left, extra = of_rank[f"full {failing}"]
        assert isinstance(raised, OSError)
        assert (raised.errno, raised.filename) == (errno.ENOSPC, str(folder / f"full {failing}"))
        assert raised.strerror == (
            f"No space left on device (rank {failing}); the last complete checkpoint is still there"
        )
        assert not is_left
        assert extra == {"step": 1}


def test_another_failure_of_one_rank_is_raised_as_it_is_by_all(first: list[dict[str, Any]]) -> None:
    for of_rank in first:
        raised, is_left, extra = of_rank["other"]
        assert repr(raised) == "ValueError('why ever')"
        assert not is_left
        assert extra == {"step": 1}


def test_what_is_missing_or_other_is_named_on_all_ranks(folder: Path, second: list[dict[str, Any]]) -> None:
    for of_rank in second:
        assert of_rank["refused"].splitlines() == [
            f"{folder}/row_wise: a checkpoint of another model:",
            "  dense.weight has the shape (1, 24) in it, (1, 16) in the model",
            "  momentum1 of table t0's optimizer has the shape (11, 8) in it, (11,) in the model",
            "  momentum1 of table t1's optimizer has the shape (7, 8) in it, (8,) in the model",
            "  table t1 has the shape (7, 8) in it, (8, 8) in the model",
            "  table t2 is in it, but not in the model",
        ]
