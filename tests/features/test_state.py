from pathlib import Path

import pytest

from recsys.checksums import write_checksums
from recsys.errors import DataError
from recsys.features.fit import fit
from recsys.features.moments import NumberState
from recsys.features.state import TransformState
from tests.features.shop import FRAME, SHOP, prepared


def test_the_number_of_ids_of_each_field_is_known() -> None:
    state = fit([FRAME], SHOP)
    sizes = {field.name: state.num_ids(field) for field in SHOP.fields if field.kind != "number"}
    assert sizes == {
        "item": 5,
        "city": 2,
        "user": None,
        "level": 3,
        "both": 5,
        "tags": 3,
        "history": 5,
        "seen_by": None,
        "marks": 2,
        "size": 4,
        "ts.hour": 25,
        "ts.weekend": 3,
    }


def test_the_state_survives_saving_and_loading(tmp_path: Path) -> None:
    state = fit([FRAME], SHOP)
    state.save(tmp_path / "transform")
    loaded = TransformState.load(tmp_path / "transform")
    assert prepared(FRAME, loaded) == prepared(FRAME, state)
    assert loaded.vocabularies["item"].counts.tolist() == state.vocabularies["item"].counts.tolist()
    assert loaded.numbers == {"price": NumberState("none", 1.0, 0.5, clip=True)}
    assert (loaded.key_kinds, loaded.num_rows) == (state.key_kinds, 4)


def test_a_state_of_another_version_is_refused(tmp_path: Path) -> None:
    fit([FRAME], SHOP).save(tmp_path)
    path = tmp_path / "state.json"
    path.write_text(path.read_text().replace('"hash_version": 1', '"hash_version": 7'))
    write_checksums(tmp_path, ["state.json"])
    with pytest.raises(DataError, match=r"state.json: hash_version must be 1, got 7: prepare the data and train again"):
        TransformState.load(tmp_path)


@pytest.mark.parametrize("name", ["state.json", "vocabulary-0-keys.npy"])
@pytest.mark.parametrize("content", [None, b"", b"{}"])
def test_a_damaged_state_is_refused(tmp_path: Path, name: str, content: bytes | None) -> None:
    fit([FRAME], SHOP).save(tmp_path)
    (tmp_path / name).unlink() if content is None else (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=name):
        TransformState.load(tmp_path)
