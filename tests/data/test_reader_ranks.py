"""What several ranks read together is what one process reads."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from recsys.data import window
from recsys.data.prepared import PreparedSplit
from recsys.data.reader import Position
from recsys.data.rows import Rows
from recsys.data.window import Chunk, Columns, Window, load_window
from recsys.ranks import World, rank_slice
from tests.data.numbered_rows import check_columns, reader_of, row_ids, write_split

pytestmark = pytest.mark.slow

START = Position()


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> PreparedSplit:
    return write_split(tmp_path_factory.mktemp("split"), [[10, 10, 3], [], [10, 10, 7], [1]])  # 51 rows


def read_by_ranks(split: PreparedSplit, size: int, position: Position = START, **options: Any) -> list[list[Rows]]:
    """Return the batches of each rank."""
    ranks = []
    for rank in range(size):
        reader = reader_of(split, world=World(rank, size), **options)
        reader.position = position
        ranks.append(list(reader))
        assert reader.position == Position(position.epoch + 1)
    return ranks


def rows_of_batches(ranks: Sequence[Sequence[Rows]]) -> list[list[int]]:
    """Return the row numbers of each batch, from all ranks, in ascending order."""
    return [sorted(row_ids(parts)) for parts in zip(*ranks, strict=True)]  # fails where ranks have unequal numbers


@pytest.mark.parametrize("seed", [None, 1])
@pytest.mark.parametrize("window_rows", [1, 20, 1000])
@pytest.mark.parametrize("batch_size", [1, 8, 20, 51, 60])
@pytest.mark.parametrize("size", [2, 3, 8])
def test_ranks_share_the_batches_of_one_process(
    split: PreparedSplit, size: int, batch_size: int, window_rows: int, seed: int | None
) -> None:
    options = {"batch_size": batch_size, "window_rows": window_rows, "seed": seed}
    alone = list(reader_of(split, **options))
    ranks = read_by_ranks(split, size, **options)
    assert rows_of_batches(ranks) == rows_of_batches([alone])
    assert sorted(row_ids([batch for batches in ranks for batch in batches])) == list(range(51))
    for rank, batches in enumerate(ranks):
        for batch, whole in zip(batches, alone, strict=True):
            part = rank_slice(whole.num_rows, rank, size)
            assert batch.num_rows == len(batch.single["row"]) == part.stop - part.start
            assert batch.batch_rows == whole.batch_rows == whole.num_rows
            check_columns(batch)


def test_epochs_and_batches_are_those_of_all_ranks(split: PreparedSplit) -> None:
    reader = reader_of(split, batch_size=25, world=World(1, 2))
    assert (reader.num_rows, reader.num_batches, len(reader)) == (51, 3, 3)
    assert [reader.position for _ in reader] == [Position(0, 1), Position(0, 2), Position(0, 3)]


@pytest.mark.parametrize("seed", [None, 1])
def test_a_rank_may_have_no_rows_at_all(tmp_path: Path, seed: int | None) -> None:
    split = write_split(tmp_path, [[3]])
    ranks = read_by_ranks(split, 8, seed=seed, batch_size=8)
    assert [[batch.num_rows for batch in batches] for batches in ranks] == [[0], [0], [1], [0], [0], [1], [0], [1]]
    assert rows_of_batches(ranks) == [[0, 1, 2]]
    for (batch,) in ranks:
        assert batch.batch_rows == 3
        check_columns(batch)


def test_ranks_read_nothing_of_an_empty_split(tmp_path: Path) -> None:
    assert read_by_ranks(write_split(tmp_path, [[0]]), 2) == [[], []]


@pytest.mark.parametrize("seed", [None, 1])
@pytest.mark.parametrize("batch", [0, 1, 3, 5, 6])
def test_an_epoch_is_taken_up_at_another_number_of_ranks(split: PreparedSplit, seed: int | None, batch: int) -> None:
    position = Position(epoch=1, batch=batch)
    alone = reader_of(split, seed=seed)
    alone.position = Position(epoch=1)
    expected = rows_of_batches([list(alone)])[batch:]
    for size in (2, 3, 8):
        assert rows_of_batches(read_by_ranks(split, size, position, seed=seed)) == expected


@pytest.mark.parametrize("batch_size", [1, 8, 51, 60])
@pytest.mark.parametrize("size", [1, 2, 8])
def test_in_order_a_rank_has_its_share_of_each_batch(split: PreparedSplit, size: int, batch_size: int) -> None:
    rows = list(range(split.num_rows))
    parts = [rows[start : start + batch_size] for start in range(0, len(rows), batch_size)]
    for rank, batches in enumerate(read_by_ranks(split, size, seed=None, batch_size=batch_size)):
        assert row_ids(batches) == [row for part in parts for row in part[rank_slice(len(part), rank, size)]]


def num_loaded(monkeypatch: pytest.MonkeyPatch, split: PreparedSplit, world: World, **options: Any) -> int:
    """Return how many record batches a rank loads in what is left of an epoch."""
    loaded: list[Chunk] = []

    def spy(chunks: Sequence[Chunk], columns: Columns, *others: Any) -> Window:
        loaded.extend(chunks)
        return load_window(chunks, columns, *others)

    position = options.pop("position", START)
    with monkeypatch.context() as patch:
        patch.setattr(window, "load_window", spy)
        reader = reader_of(split, world=world, **options)
        reader.position = position
        list(reader)
    assert len(set(loaded)) == len(loaded)
    return len(loaded)


@pytest.mark.parametrize("batch_size", [400, 448])  # 4 to a window; some batches lie in two windows
def test_a_rank_loads_little_more_than_its_part_of_the_record_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch_size: int
) -> None:
    split = write_split(tmp_path, [[50] * 96])
    counts = [
        num_loaded(monkeypatch, split, World(rank, 8), batch_size=batch_size, window_rows=1600) for rank in range(8)
    ]
    assert min(counts) >= 12
    assert max(counts) <= 96 * 0.3  # 3 windows; a part that starts in a record batch ends in another


def test_one_process_loads_each_record_batch_once_and_a_resumed_epoch_what_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    split = write_split(tmp_path, [[50] * 96])
    options = {"batch_size": 400, "window_rows": 1600}
    assert num_loaded(monkeypatch, split, World(), **options) == 96
    assert num_loaded(monkeypatch, split, World(), **options, seed=None, position=Position(batch=5)) == 96 - 5 * 8
