"""Data frames of several libraries, and the files that stand for them."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from recsys.api.frames import data_files, frame_file, is_frame, to_polars
from recsys.errors import DataError

FRAME = pl.DataFrame({"user": [1, 2], "tags": [["a"], ["b", "c"]]})


class Exported:
    """A table of a library that exports Arrow streams, as pandas does."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return FRAME.__arrow_c_stream__(requested_schema)


@pytest.mark.parametrize(
    "table",
    [
        FRAME,
        FRAME.lazy(),
        FRAME.to_arrow(),
        Exported(),
        FRAME.to_dict(as_series=False),
        {"user": np.array([1, 2]), "tags": FRAME["tags"]},
        FRAME.to_dicts(),
    ],
    ids=["polars", "lazy", "arrow", "stream", "columns", "arrays", "rows"],
)
def test_tables_of_any_library_become_equal_frames(table: Any) -> None:
    assert to_polars(table, name="rows").equals(FRAME)


def test_a_dict_with_a_scalar_is_one_row_even_if_it_has_lists() -> None:
    assert to_polars({"user": 1, "tags": ["a"]}, name="rows").equals(FRAME[:1])
    assert to_polars({"user": np.int64(1), "tags": []}, name="rows").height == 1


@pytest.mark.parametrize("value", [7, "log.csv", {"a": [1], "b": [1, 2]}, [1, 2]])
def test_what_is_no_table_is_refused(value: Any) -> None:
    with pytest.raises(DataError, match=r"^rows: "):
        to_polars(value, name="rows")


def test_a_frame_is_told_from_paths_without_importing_its_library() -> None:
    assert [is_frame(value) for value in (FRAME, FRAME.lazy(), FRAME.to_arrow())] == [True] * 3
    assert [is_frame(value) for value in ("log.csv", ["a", "b"], Path(), {"a": [1]}, None)] == [False] * 5


def test_equal_frames_have_one_file_whose_time_says_nothing(tmp_path: Path) -> None:
    first = frame_file(FRAME, tmp_path / "frames", name="data.train")
    assert frame_file(pl.concat([FRAME[:1], FRAME[1:]], rechunk=False), tmp_path / "frames", name="data.train") == first
    assert frame_file(FRAME[:1], tmp_path / "frames", name="data.train") != first
    assert first.stat().st_mtime_ns == 0
    assert first.is_absolute()
    assert pl.from_arrow(pa.ipc.open_file(first).read_all()).equals(FRAME)  # type: ignore[union-attr,no-untyped-call]
    assert len(list((tmp_path / "frames").iterdir())) == 2


def test_paths_are_handed_on_and_a_frame_lies_in_a_file_for_a_while(tmp_path: Path) -> None:
    with data_files(tmp_path / "log.csv") as found:
        assert found == ([str(tmp_path / "log.csv")], False)
    with data_files(["a.csv", "b.csv"]) as found:
        assert found == (["a.csv", "b.csv"], False)
    for table in (FRAME, FRAME.to_dict(as_series=False), FRAME.to_dicts()):
        with data_files(table) as (paths, is_in_memory):
            assert is_in_memory
            assert pl.read_ipc(paths[0]).equals(FRAME)
        assert not Path(paths[0]).exists()


@pytest.mark.parametrize("data", [[], (), {}, 5, None, [5], ["a.csv", FRAME], ""])
def test_what_is_neither_a_table_nor_paths_is_refused_in_words(data: Any) -> None:
    message = r"^data: (must be a data frame, a dict of columns, or paths|has neither columns)"
    with pytest.raises(DataError, match=message), data_files(data):
        pass


@pytest.mark.parametrize("rows", [[], (), {}])
def test_a_table_without_columns_and_rows_is_refused_in_words(rows: Any) -> None:
    with pytest.raises(DataError, match=r"^rows: has neither columns nor rows, got "):
        to_polars(rows, name="rows")
