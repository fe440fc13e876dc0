"""Tests of recsys/features/kept.py, and of vocabularies that keep the values of a file."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from recsys.config import CrossFeature, IdFeature, IdsFeature, SequenceFeature
from recsys.config.feature_types.kept import KeptFile
from recsys.config.kept import kept_checksum
from recsys.errors import DataError
from recsys.features.fingerprint import NULL_KEY, Keys, cross_key, xxhash64_keys
from recsys.features.fit import fit
from recsys.features.kept import read_kept, write_kept
from recsys.features.state import TransformState
from recsys.features.transform import canonicalize, encode
from recsys.features.warn import warnings_about
from tests.features.configs import resolved

ROWS = pl.DataFrame(
    {
        "item": [3, 3, 3, 5, 5, 7],
        "city": ["Rome", "Rome", "Oslo", "Oslo", None, "Lima"],
        "seen": [[3, 7], [5], [], [9], [], [3]],
        "tags": [["a", "b"], ["b"], [], ["c"], ["a"], ["b"]],
        "clicked": [0, 1, 0, 1, 0, 1],
    }
)


def keys(*values: Any) -> Keys:
    return np.array(values, np.int64)


def texts(*values: str) -> Keys:
    return xxhash64_keys(pl.Series(values)).to_numpy()


def encoded(features: dict[str, Any]) -> tuple[dict[str, list[Any]], TransformState]:
    shop = resolved(**features)
    state = fit([ROWS], shop)
    return encode(canonicalize(ROWS, shop, state), shop, state).to_pydict(), state


def test_values_that_are_not_kept_are_unknown_and_the_others_are_in_order_of_frequency(tmp_path: Path) -> None:
    write_kept(tmp_path / "item.parquet", keys(7, 5, 1000), "int")
    item = IdFeature(type="id", kept=str(tmp_path / "item.parquet"))
    found, state = encoded({"item": item, "seen": SequenceFeature(type="sequence", of="item")})
    assert found["item"] == [0, 0, 0, 1, 1, 2]  # 5 occurs three times, 7 twice, those of the histories included
    assert found["seen"] == [[0, 2], [1], [], [0], [], [0]]
    assert state.vocabularies["item"].counts.tolist() == [6, 3, 2]


def test_texts_lists_and_crosses_are_kept_by_their_keys(tmp_path: Path) -> None:
    write_kept(tmp_path / "city.parquet", np.append(texts("Oslo"), NULL_KEY), "text", ["Oslo", None])
    write_kept(tmp_path / "tags.parquet", texts("b"), "text")
    write_kept(tmp_path / "both.parquet", cross_key([keys(3), texts("Rome")]), "int+text")
    found, _ = encoded(
        {
            "item": IdFeature(type="id"),
            "city": IdFeature(type="id", kept=str(tmp_path / "city.parquet")),
            "tags": IdsFeature(type="ids", kept=str(tmp_path / "tags.parquet")),
            "both": CrossFeature(type="cross", of=("item", "city"), kept=str(tmp_path / "both.parquet")),
        }
    )
    assert found["city"] == [0, 0, 1, 1, 2, 0]
    assert found["tags"] == [[0, 1], [1], [], [0], [0], [1]]
    assert found["both"] == [1, 1, 0, 0, 0, 0]


def test_limits_of_the_vocabulary_hold_for_what_is_kept(tmp_path: Path) -> None:
    write_kept(tmp_path / "item.parquet", keys(7, 5), "int")
    file = str(tmp_path / "item.parquet")
    assert encoded({"item": IdFeature(type="id", kept=file, min_count=2)})[0]["item"] == [0, 0, 0, 1, 1, 0]
    assert encoded({"item": IdFeature(type="id", kept=file, max_size=1)})[0]["item"] == [0, 0, 0, 1, 1, 0]


def test_people_can_read_the_values_and_equal_keys_give_equal_bytes(tmp_path: Path) -> None:
    write_kept(tmp_path / "a.parquet", keys(7, NULL_KEY), "int")
    write_kept(tmp_path / "b.parquet", texts("x"), "text", ["x"])
    write_kept(tmp_path / "c.parquet", keys(7, NULL_KEY), "int")
    assert pl.read_parquet(tmp_path / "a.parquet").to_dict(as_series=False) == {
        "key": [7, NULL_KEY],
        "value": [7, None],
    }
    assert pl.read_parquet(tmp_path / "b.parquet")["value"].to_list() == ["x"]
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "c.parquet").read_bytes()


def test_a_file_of_another_tool_needs_only_the_column_of_keys(tmp_path: Path) -> None:
    pl.DataFrame({"key": [7, 3, 7], "why": ["a", "b", "c"]}).write_parquet(tmp_path / "k.parquet")
    assert read_kept(KeptFile(file=str(tmp_path / "k.parquet")), "text", where="x").tolist() == [3, 7]


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (None, r"k\.parquet: cannot be read \(No such file or directory\), and the vocabulary is to be fitted"),
        (b"PAR1", r"k\.parquet: cannot be read as parquet: "),
        (pl.DataFrame({"id": [1]}), r"k\.parquet: has no column 'key' with the keys, but 'id'"),
        (pl.DataFrame({"key": ["1"]}), r"k\.parquet: the column 'key' must hold 64-bit integers, got large_string"),
        (pl.DataFrame({"key": [1.0]}), r"must hold 64-bit integers, got double"),
        (pl.DataFrame({"key": [1, None]}), r"must not hold null; the key of a missing value is -9223372036854775808"),
        ("text", r"holds keys that are hashes of texts, but those of the feature are integers here"),
        ("int+text", r"holds keys that are combinations of integers and hashes of texts, but those"),
    ],
)
def test_a_file_that_is_not_of_this_feature_is_refused_by_name(tmp_path: Path, content: Any, text: str) -> None:
    path = tmp_path / "k.parquet"
    if isinstance(content, pl.DataFrame):
        content.write_parquet(path)
    elif isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        write_kept(path, keys(1), content)
    with pytest.raises(DataError, match=rf"^features\.item\.kept: .*{text}"):
        encoded({"item": IdFeature(type="id", kept=str(path))})


def test_a_file_that_has_changed_is_refused(tmp_path: Path) -> None:
    write_kept(tmp_path / "k.parquet", keys(1), "int")
    kept = KeptFile(file=str(tmp_path / "k.parquet"), checksum=kept_checksum((tmp_path / "k.parquet").read_bytes()))
    assert read_kept(kept, "int", where="x").tolist() == [1]
    write_kept(tmp_path / "k.parquet", keys(2), "int")
    with pytest.raises(DataError, match="has changed since"):
        read_kept(kept, "int", where="x")


@pytest.mark.parametrize(
    ("kept", "warns"),
    [(keys(3, 5), False), (keys(3, *range(100, 118)), False), (keys(3, *range(100, 119)), True), (keys(), True)],
)
def test_a_file_of_which_almost_nothing_occurs_in_training_draws_a_warning(
    tmp_path: Path, kept: Keys, warns: bool
) -> None:
    write_kept(tmp_path / "k.parquet", kept, "int")
    shop = resolved(item=IdFeature(type="id", kept=str(tmp_path / "k.parquet")))
    state = fit([ROWS], shop)
    state.save(tmp_path / "state")
    found = warnings_about(shop, TransformState.load(tmp_path / "state"))
    assert [warning.partition("values of")[0] for warning in found] == [
        f"features.item.kept: {min(len(kept), 1)} of the {len(kept)} "
    ] * warns
