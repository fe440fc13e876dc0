"""Looking into, comparing and converting checkpoints that one process and that two ranks have written."""

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torchrec.distributed.model_parallel import DistributedModelParallel

from recsys.checkpoint import snapshot
from recsys.checkpoint.diff import differences
from recsys.checkpoint.folder import link_checkpoint, temporary_path
from recsys.checkpoint.load import LoadedState, load_checkpoint
from recsys.checkpoint.saver import AsyncCheckpointer
from recsys.checkpoint.snapshot import tensors_of
from recsys.checkpoint.tools import find_all, find_one, inspect, to_checkpoint, to_torch
from recsys.errors import DataError
from recsys.ranks.process_group import init_process_group
from tests.checkpoint.small_model import dense_adam, make, small_chunks, train, whole
from tests.ranks.run_on_ranks import run_on_ranks

NAN, INF = float("nan"), float("inf")
T0 = "model.lookup.embedding_bags.t0.weight"


pytestmark = pytest.mark.ranks


def save(folder: Path, model: DistributedModelParallel, dense: torch.optim.Optimizer, extra: dict[str, Any]) -> None:
    saver = AsyncCheckpointer()
    with small_chunks():
        saver.save(folder, model, dense, extra, {"rank": 0})
    saver.wait()


def save_trained(folder: Path) -> dict[str, Tensor]:
    """Let two ranks save the same values in two shardings."""
    model = make("row_wise", seed=1)
    dense = dense_adam(model)
    train(model, dense)
    save(folder / "row_wise", model, dense, {"progress": {"epoch": 1}})
    other = make("column_wise", seed=2)
    other_dense = dense_adam(other)
    load_checkpoint(folder / "row_wise", other, other_dense)
    save(folder / "column_wise", other, other_dense, {"progress": {"epoch": 2}})
    return whole(model)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("checkpoints")


@pytest.fixture(scope="module")
def values(folder: Path) -> dict[str, Tensor]:
    """What is in `row_wise` and `column_wise`, and in `alone`, which one process has written."""
    found: dict[str, Tensor] = run_on_ranks(save_trained, folder)[0]
    init_process_group("cpu")
    model = make("table_wise")
    dense = dense_adam(model)
    load_checkpoint(folder / "row_wise", model, dense)
    save(folder / "alone", model, dense, {"progress": {"epoch": 3}})
    return found


@pytest.fixture
def changed(folder: Path, values: dict[str, Tensor], tmp_path: Path) -> Callable[..., Path]:
    """Save `row_wise` with some values changed."""

    def save_changed(**changes: Callable[[Tensor], object]) -> Path:
        model = make("table_wise")
        dense = dense_adam(model)
        load_checkpoint(folder / "row_wise", model, dense)
        live = tensors_of(model)
        with torch.no_grad():
            for name, change in changes.items():
                full = next(one for one in live if one.endswith(name))
                value = live[full]
                change(value.local_shards()[0].tensor if hasattr(value, "local_shards") else value)
        save(tmp_path / "changed", model, dense, {})
        return tmp_path / "changed"

    return save_changed


def test_what_is_in_a_checkpoint_of_two_ranks(folder: Path, values: dict[str, Tensor]) -> None:
    found = inspect(folder / "row_wise")
    assert (found.defects, found.files, found.world_size, found.progress) == ([], 5, 2, {"epoch": 1})
    assert found.bytes == sum(path.stat().st_size for path in (folder / "row_wise").iterdir())
    shown = {one.name: (one.table, one.is_state, one.size, one.dtype, one.bytes) for one in found.tensors}
    assert shown["table t0"] == ("t0", False, (11, 8), "float32", 352)
    assert shown["momentum1 of table t0's optimizer"] == ("t0", True, (11, 8), "float32", 352)
    assert shown["codes"] == (None, False, (17, 2), "int8", 34)
    assert len(shown) == len(values)


def test_what_is_missing_or_cut_off_is_named(folder: Path, values: dict[str, Tensor], tmp_path: Path) -> None:
    broken = temporary_path(tmp_path / "last")
    link_checkpoint(folder / "row_wise", broken)
    (broken / "trainer.pt").unlink()
    (broken / "__0_0.distcp").unlink()
    size = (broken / "__1_0.distcp").stat().st_size
    whole_file = (broken / "__1_0.distcp").read_bytes()
    (broken / "__1_0.distcp").unlink()  # it is a link
    (broken / "__1_0.distcp").write_bytes(whole_file[:200])
    found = inspect(broken)
    assert found.defects == [
        "__0_0.distcp is missing",
        f"__1_0.distcp is cut off: 200 of {size:,} bytes",
        "trainer.pt is missing",
    ]
    (broken / "metadata.json").unlink()
    assert inspect(broken).defects == ["metadata.json is missing"]
    with pytest.raises(DataError, match="the checkpoint is not complete; see `recsys checkpoint inspect"):
        find_one(broken)


@pytest.mark.parametrize("other", ["column_wise", "alone"])
def test_sharding_and_world_size_make_no_difference(folder: Path, values: dict[str, Tensor], other: str) -> None:
    assert list(differences(folder / "row_wise", folder / other)) == []
    assert list(differences(folder / other, folder / "row_wise")) == []


@pytest.mark.parametrize("source", ["row_wise", "column_wise", "alone"])
def test_differing_rows_are_measured(
    folder: Path, values: dict[str, Tensor], changed: Callable[..., Path], source: str
) -> None:
    def change(weight: Tensor) -> None:
        weight[2, 1] += 0.5
        weight[2, 6] -= 1.5
        weight[10, 7] += 0.25

    found = list(differences(folder / source, changed(**{"t0.weight": change})))
    assert [(one.name, one.first, one.second) for one in found] == [("table t0", "11 x 8 float32", "11 x 8 float32")]
    assert found[0].largest == pytest.approx(1.5, abs=1e-6)
    assert found[0].rows == pytest.approx(2 / 11)


def test_equal_infinities_and_values_that_are_not_numbers_are_equal(
    folder: Path, values: dict[str, Tensor], changed: Callable[..., Path], tmp_path: Path
) -> None:
    def change(weight: Tensor) -> None:
        weight[0, 0], weight[1, 0], weight[2, 0] = NAN, INF, -INF

    first = changed(**{"t0.weight": change}).rename(tmp_path / "first")
    assert list(differences(first, changed(**{"t0.weight": change}))) == []
    (found,) = differences(folder / "alone", first)
    assert (found.largest, found.rows) == (INF, 3 / 11)


def test_integers_and_the_dense_optimizer_are_compared(folder: Path, values: dict[str, Tensor], tmp_path: Path) -> None:
    model = make("table_wise")
    dense = dense_adam(model)
    load_checkpoint(folder / "row_wise", model, dense)
    model.module.codes[3] += 100
    dense.param_groups[0]["lr"] = 0.5
    dense.state_dict()["state"][1]["exp_avg"].add_(2.0)
    save(tmp_path / "last", model, dense, {})
    found = {one.name: one for one in differences(folder / "alone", tmp_path / "last")}
    assert {name: one.largest for name, one in found.items()} == {
        "codes": 100.0,
        "dense optimizer: exp_avg of parameter 1": pytest.approx(2.0),
        "dense optimizer: learning rate 0": pytest.approx(0.49),
    }
    assert found["codes"].rows == 1 / 17


def test_other_sizes_and_tables_of_one_side_are_told(folder: Path, values: dict[str, Tensor], tmp_path: Path) -> None:
    model = make("table_wise", "rowwise_adagrad", rows=(11, 8))
    save(tmp_path / "last", model, dense_adam(model), {})
    found = {one.name: (one.first, one.second) for one in differences(folder / "alone", tmp_path / "last")}
    assert found["table t1"] == ("7 x 8 float32", "8 x 8 float32")
    assert found["table t2"] == ("2 x 8 float32", None)
    assert found["momentum1 of table t0's optimizer"] == ("11 x 8 float32", "11 float32")
    assert found["dense optimizer: exp_avg of parameter 0"] == ("1 x 24 float32", None)


@pytest.mark.parametrize("source", ["row_wise", "column_wise", "alone"])
def test_the_plain_file_holds_the_model_under_readable_names(
    folder: Path, values: dict[str, Tensor], source: str, tmp_path: Path
) -> None:
    names = to_torch(folder / source, tmp_path / "new" / "model.pt")
    plain = torch.load(tmp_path / "new" / "model.pt", weights_only=True)
    assert list(plain) == names == sorted(names)
    assert set(names) == {"t0.weight", "t1.weight", "t2.weight", "dense.weight", "dense.bias", "codes", "nothing"}
    for i in range(3):
        assert torch.equal(plain[f"t{i}.weight"], values[f"model.lookup.embedding_bags.t{i}.weight"])
    assert torch.equal(plain["codes"], values["model.codes"])
    assert plain["t0.weight"].untyped_storage().nbytes() == 352
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["model.pt"]


def test_only_the_tensors_asked_for_are_written(folder: Path, values: dict[str, Tensor], tmp_path: Path) -> None:
    assert to_torch(folder / "alone", tmp_path / "some.pt", ["t1*", "dense.bias"]) == ["dense.bias", "t1.weight"]
    with pytest.raises(DataError, match=r"alone: has no tensor t9\*, x; it has codes, dense.bias"):
        to_torch(folder / "alone", tmp_path / "none.pt", ["t9*", "t0*", "x"])
    assert [path.name for path in tmp_path.iterdir()] == ["some.pt"]


@pytest.mark.parametrize("source", ["row_wise", "column_wise"])
def test_a_checkpoint_written_anew_is_the_same_in_fewer_files(
    folder: Path, values: dict[str, Tensor], source: str, tmp_path: Path
) -> None:
    to_checkpoint(folder / source, tmp_path / "archive")
    files = {path.name for path in (tmp_path / "archive").iterdir()}
    assert files == {"__0_0.distcp", "checksums.json", "metadata.json", "trainer.pt"}
    assert list(differences(folder / source, tmp_path / "archive")) == []
    model = make("table_wise", seed=7)
    loaded = load_checkpoint(tmp_path / "archive", model, dense_adam(model))
    assert loaded == LoadedState({"progress": {"epoch": 1 if source == "row_wise" else 2}}, [{"rank": 0}] * 2)
    for name, value in whole(model).items():
        assert torch.equal(value, values[name]), name


def test_an_existing_file_is_refused_and_a_failure_leaves_nothing(
    folder: Path, values: dict[str, Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "there").write_text("mine")
    for convert in (to_torch, to_checkpoint):
        with pytest.raises(DataError, match="there: exists already"):
            convert(folder / "alone", tmp_path / "there")

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(snapshot.torch, "save", full)
    monkeypatch.setattr("recsys.checkpoint.storage.checksum", full)
    for convert in (to_torch, to_checkpoint):
        with pytest.raises(OSError, match="No space left") as refused:
            convert(folder / "alone", tmp_path / "new")
        assert refused.value.filename == str(tmp_path / "new")
    assert [path.name for path in tmp_path.iterdir()] == ["there"]


def test_a_path_means_a_run_or_a_checkpoint(folder: Path, values: dict[str, Tensor], tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    with pytest.raises(DataError, match="run: neither the folder of a run nor that of a checkpoint"):
        find_all(run)
    (run / "config.yaml").touch()
    with pytest.raises(DataError, match="run: the run has no complete checkpoint yet"):
        find_all(run)
    (run / "checkpoints").mkdir()
    for name in ("last", "best"):
        link_checkpoint(folder / "alone", run / "checkpoints" / name)
    (run / "checkpoints" / "last").rename(run / "checkpoints" / ".last.old")  # a kill between two renames
    assert find_all(run) == [run / "checkpoints" / ".last.old", run / "checkpoints" / "best"]
    assert find_one(run) == run / "checkpoints" / "best"
    assert find_one(run / "checkpoints" / "best") == run / "checkpoints" / "best"


def test_a_damaged_tensor_is_said_to_be_one(folder: Path, values: dict[str, Tensor], tmp_path: Path) -> None:
    link_checkpoint(folder / "alone", tmp_path / "last")
    path = tmp_path / "last" / "__0_0.distcp"
    size = path.stat().st_size
    path.unlink()
    path.write_bytes(b"0" * size)
    with pytest.raises(DataError, match=r"__0_0\.distcp: cannot be read"):
        list(differences(tmp_path / "last", folder / "alone"))
    with pytest.raises(DataError, match=r"__0_0\.distcp: cannot be read"):
        to_checkpoint(tmp_path / "last", tmp_path / "new")
