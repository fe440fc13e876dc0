"""The list of tensors of a checkpoint: as it is written, as former versions wrote it, and as somebody hostile might."""

import json
import os
import pickle
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.distributed.checkpoint.filesystem import _StorageInfo
from torch.distributed.checkpoint.metadata import Metadata, MetadataIndex

from recsys.checkpoint.diff import differences
from recsys.checkpoint.load import load_checkpoint
from recsys.checkpoint.metadata import read_metadata
from recsys.checkpoint.reader import CheckpointReader
from recsys.checkpoint.saver import save
from recsys.checkpoint.tools import inspect, to_checkpoint, to_torch
from recsys.checksums import write_checksums
from recsys.errors import DataError
from recsys.ranks.process_group import init_process_group
from tests.checkpoint.former import save_as_former
from tests.checkpoint.small_model import dense_adam, make, small_chunks, train, whole

Read = Callable[[Path], object]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the same checkpoint in the present and in the former form."""
    init_process_group("cpu")
    folder = tmp_path_factory.mktemp("both")
    model = make("table_wise", seed=1)
    dense = dense_adam(model)
    train(model, dense)
    with small_chunks():
        save(folder / "present", model, dense, {"step": 1})
        save_as_former(folder / "former", model, dense, {"step": 1})
    return folder


@pytest.fixture(params=["present", "former"])
def checkpoint(request: pytest.FixtureRequest, both: Path, tmp_path: Path) -> Path:
    """Return a copy of a checkpoint, in either form."""
    folder = tmp_path / "last"
    folder.mkdir()
    for path in (both / request.param).iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


def load(folder: Path) -> object:
    model = make("table_wise", seed=2)
    return load_checkpoint(folder, model, dense_adam(model))


READERS: list[Read] = [
    load,
    inspect,
    lambda folder: list(differences(folder, folder)),
    lambda folder: to_torch(folder, folder.parent / "plain.pt"),
    lambda folder: to_checkpoint(folder, folder.parent / "again"),
]


def refuse(folder: Path, match: str) -> None:
    for read in READERS:
        with pytest.raises(DataError, match=match):
            read(folder)


def test_both_forms_hold_the_same_and_are_loaded_alike(both: Path, tmp_path: Path) -> None:
    assert list(differences(both / "present", both / "former")) == []
    found = []
    for name in ("present", "former"):
        model = make("table_wise", seed=2)
        assert load_checkpoint(both / name, model, dense_adam(model)).extra == {"step": 1}
        found.append(whole(model))
        to_checkpoint(both / name, tmp_path / name)
        assert list(differences(both / "present", tmp_path / name)) == []
    assert all(torch.equal(value, found[1][name]) for name, value in found[0].items())
    assert not [path for path in both.glob("present/*") if b"torch" in path.read_bytes() and path.suffix != ".pt"]


class Attack:
    """What a pickle may do: anything."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.target}",)


@pytest.mark.parametrize("place", ["root", "tensor", "storage", "planner"])
@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_a_hostile_list_of_tensors_is_refused_and_not_run(
    place: str, protocol: int, both: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "last"
    folder.mkdir()
    for path in (both / "former").iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    metadata: Any = pickle.loads((folder / ".metadata").read_bytes())
    attack = Attack(tmp_path / "written")
    if place == "root":
        metadata = attack
    elif place == "tensor":
        metadata.state_dict_metadata["x"] = attack
    elif place == "storage":
        metadata.storage_data[attack] = attack
    else:
        metadata.planner_data = attack
    (folder / ".metadata").write_bytes(pickle.dumps(metadata, protocol=protocol))
    named = r"it wants to call (posix\.system|copy_reg\._reconstructor)"
    refuse(folder, rf"\.metadata: cannot be read as the list of tensors .*{named}")
    assert not (tmp_path / "written").exists()


def test_a_hostile_trainer_or_chunk_is_refused_and_not_run(both: Path, tmp_path: Path) -> None:
    folder = tmp_path / "last"
    folder.mkdir()
    for path in (both / "former").iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    torch.save({"optimizer": Attack(tmp_path / "written"), "extra": {}}, folder / "trainer.pt")
    refuse(folder, "last: cannot be read as a checkpoint: UnpicklingError")
    torch.save(Attack(tmp_path / "written"), folder / "attack.pt")
    (folder / "trainer.pt").write_bytes((both / "former" / "trainer.pt").read_bytes())
    content = (folder / "attack.pt").read_bytes()
    (folder / "__0_0.distcp").write_bytes(content + bytes(10**6))
    with pytest.raises(DataError, match=r"__0_0\.distcp: cannot be read"):
        load(folder)
    assert not (tmp_path / "written").exists()


@pytest.mark.parametrize(
    "name", ["../outside", "/etc/hostname", "a/../../outside", "..", "", "link", "absent", 7, None]
)
def test_files_out_of_the_folder_are_refused(name: Any, checkpoint: Path) -> None:
    outside = checkpoint.parent / "outside"
    outside.write_bytes((checkpoint / "__0_0.distcp").read_bytes())
    (checkpoint / "link").symlink_to(outside)
    edit_chunks(checkpoint, "file", name)
    for read in READERS if name not in ("absent",) else [READERS[0], *READERS[2:]]:
        with pytest.raises(DataError, match="last"):
            read(checkpoint)


@pytest.mark.parametrize("value", [-1, 2**62, 2**70, "0", None, 1.5, [0]])
@pytest.mark.parametrize("key", ["start", "length"])
def test_places_out_of_the_file_are_refused(key: str, value: Any, checkpoint: Path) -> None:
    edit_chunks(checkpoint, key, value)
    with pytest.raises(DataError, match="last"):
        load(checkpoint)
    with pytest.raises(DataError, match="last"):
        to_torch(checkpoint, checkpoint.parent / "plain.pt")


def edit_chunks(folder: Path, key: str, value: Any) -> None:
    """Change a fact of all chunks of the first tensor that has any values."""
    if (folder / ".metadata").exists():
        metadata: Metadata = pickle.loads((folder / ".metadata").read_bytes())
        former: dict[MetadataIndex, _StorageInfo] = metadata.storage_data
        for stored in former.values():
            setattr(stored, {"file": "relative_path", "start": "offset"}.get(key, key), value)
        (folder / ".metadata").write_bytes(pickle.dumps(metadata))
        return
    facts = json.loads((folder / "metadata.json").read_text())
    for entry in facts["tensors"].values():
        for chunk in entry["chunks"]:
            chunk[key] = value
    (folder / "metadata.json").write_text(json.dumps(facts))
    write_checksums(folder, ["metadata.json", "trainer.pt"])


@pytest.mark.parametrize(
    ("key", "value"),
    [("size", [2**60, 2**60]), ("size", [3]), ("size", None), ("dtype", "object"), ("dtype", "load"), ("chunks", [])],
)
def test_a_tensor_that_its_chunks_do_not_make_up_is_refused(key: str, value: Any, both: Path, tmp_path: Path) -> None:
    folder = tmp_path / "last"
    folder.mkdir()
    for path in (both / "present").iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    facts = json.loads((folder / "metadata.json").read_text())
    facts["tensors"]["model.dense.bias"][key] = value
    (folder / "metadata.json").write_text(json.dumps(facts))
    write_checksums(folder, ["metadata.json", "trainer.pt"])
    refuse(folder, r"metadata\.json: cannot be read as the list of tensors")


@pytest.mark.slow
def test_damaged_files_of_a_former_version_raise_nothing_but_data_errors(both: Path, tmp_path: Path) -> None:
    """They have no checksums: a flipped bit of a value is not seen, but one of a header is no traceback."""
    folder = tmp_path / "last"
    shutil.copytree(both / "former", folder)
    draw = random.Random(1)
    refused = 0
    for name in (".metadata", "trainer.pt", "__0_0.distcp"):
        whole = (folder / name).read_bytes()
        for _ in range(100):
            content = bytearray(whole)
            for _ in range(draw.randint(1, 4)):
                content[draw.randrange(len(content))] = draw.randrange(256)
            (folder / name).write_bytes(content[: draw.choice([len(content), draw.randrange(len(content))])])
            try:
                reader = CheckpointReader(folder)
                for tensor in reader.specs:
                    reader.read_tensor(tensor)
            except DataError:
                refused += 1
        (folder / name).write_bytes(whole)
    assert refused > 200


def test_a_later_format_is_said_to_be_one(both: Path, tmp_path: Path) -> None:
    (tmp_path / "metadata.json").write_text('{"format": 9, "tensors": {}}')
    with pytest.raises(DataError, match="format must be 1, got 9: a later version has written it"):
        read_metadata(tmp_path)


def test_a_flipped_bit_of_any_tensor_is_noticed(both: Path, tmp_path: Path) -> None:
    folder = tmp_path / "last"
    folder.mkdir()
    for path in (both / "present").iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    path = folder / "__0_0.distcp"
    whole = path.read_bytes()
    for name, entry in read_metadata(folder).items():
        for ref in entry.chunks:
            for place in {ref.start, ref.start + ref.length // 2, ref.start + ref.length - 1} if ref.length else ():
                path.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
                with pytest.raises(DataError, match=r"__0_0\.distcp: cannot be read: bytes .* are damaged"):
                    CheckpointReader(folder).read_tensor(name)
