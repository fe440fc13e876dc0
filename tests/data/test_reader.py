import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
import torch

from recsys.data.prefetch import prefetched
from recsys.data.prepared import PreparedSplit
from recsys.data.reader import Position, Reader
from recsys.data.rows import Rows
from recsys.errors import DataError
from tests.data.numbered_rows import PLAN, check_columns, reader_of, row_ids, write_split


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> PreparedSplit:
    return write_split(tmp_path_factory.mktemp("split"), [[10, 10, 3], [], [10, 10, 7], [1]])  # 51 rows


def test_without_a_seed_rows_come_in_the_order_of_the_files(split: PreparedSplit) -> None:
    reader = reader_of(split, seed=None)
    assert reader.num_rows == 51
    assert row_ids(list(reader)) == list(range(51))


def test_a_batch_holds_what_the_files_say(split: PreparedSplit) -> None:
    second = list(reader_of(split, seed=None, batch_size=3))[1]  # rows 3, 4, 5
    assert second.num_rows == 3
    assert second.batch_rows == 3
    assert list(second.single) == ["row", "ad"]
    torch.testing.assert_close(second.single["row"], torch.tensor([3, 4, 5], dtype=torch.int32))
    torch.testing.assert_close(second.single["ad"], torch.tensor([3, 4, 5]) + 10**12)
    torch.testing.assert_close(second.lists["tags"].values, torch.tensor([300, 301, 302, 500], dtype=torch.int32))
    torch.testing.assert_close(second.lists["tags"].lengths, torch.tensor([3, 0, 1], dtype=torch.int32))
    torch.testing.assert_close(second.lists["seen"].values, torch.tensor([4, 5, 5]) + 10**12)
    torch.testing.assert_close(second.lists["seen"].lengths, torch.tensor([0, 1, 2], dtype=torch.int32))
    torch.testing.assert_close(second.numbers, torch.tensor([[1.5, -3], [2, -4], [2.5, -5]]))
    torch.testing.assert_close(second.labels, torch.tensor([[1.0, 1], [0, 1], [1, 1]]))
    assert second.weights is not None
    torch.testing.assert_close(second.weights, torch.tensor([4.0, 5, 6]))
    assert second.groups is not None
    torch.testing.assert_close(second.groups, torch.tensor([0, 0, 0]))


@pytest.mark.parametrize("batch_size", [1, 7, 64])
def test_shuffled_rows_keep_all_their_columns_together(split: PreparedSplit, batch_size: int) -> None:
    for batch in reader_of(split, batch_size=batch_size):
        check_columns(batch)


@pytest.mark.parametrize("window_rows", [1, 30, 1000])
@pytest.mark.parametrize("batch_size", [1, 8, 40, 51, 60])
def test_an_epoch_gives_every_row_once_and_only_the_last_batch_is_short(
    split: PreparedSplit, batch_size: int, window_rows: int
) -> None:
    reader = reader_of(split, batch_size=batch_size, window_rows=window_rows)
    expected = len(reader)
    batches = list(reader)
    assert sorted(row_ids(batches)) == list(range(51))
    assert len(batches) == expected == -(-51 // batch_size)
    assert all(batch.num_rows == batch_size for batch in batches[:-1])


def test_order_depends_on_seed_and_epoch_only(split: PreparedSplit) -> None:
    first, again, other_seed = reader_of(split), reader_of(split), reader_of(split, seed=2)
    epoch_0, epoch_1 = row_ids(list(first)), row_ids(list(first))
    assert row_ids(list(again)) == epoch_0
    assert row_ids(list(again)) == epoch_1
    other = row_ids(list(other_seed))
    assert len({tuple(order) for order in (epoch_0, epoch_1, other, range(51))}) == 4


def test_a_single_window_is_shuffled_anew_in_each_epoch(tmp_path: Path) -> None:
    reader = reader_of(write_split(tmp_path, [[30]]), window_rows=1000)
    assert row_ids(list(reader)) != row_ids(list(reader))


def test_rows_of_one_window_are_mixed_and_windows_are_drawn_anew(split: PreparedSplit) -> None:
    reader = reader_of(split, window_rows=20)
    windows = []
    for _ in range(20):
        order = row_ids(list(reader))
        windows.append(frozenset(order[:20]))
        assert order[:10] != sorted(order[:10])
    assert len(set(windows)) > 3


def test_a_record_batch_of_window_rows_is_a_window_of_its_own(tmp_path: Path) -> None:
    batches = list(reader_of(write_split(tmp_path, [[8], [8, 8]]), window_rows=8))
    assert sorted([*{row // 8 for row in row_ids([batch])}] for batch in batches) == [[0], [1], [2]]


@pytest.mark.parametrize("seed", [None, 1])
@pytest.mark.parametrize("batch", [0, 1, 3, 6, 7])
def test_a_resumed_epoch_continues_exactly(split: PreparedSplit, seed: int | None, batch: int) -> None:
    whole = reader_of(split, seed=seed)
    list(whole)
    expected = list(whole)  # epoch 1
    resumed = reader_of(split, seed=seed)
    resumed.position = Position(epoch=1, batch=batch)
    assert len(resumed) == len(expected) - batch
    assert row_ids(list(resumed)) == row_ids(expected[batch:])
    assert resumed.position == Position(epoch=2, batch=0)


def test_resuming_does_not_read_earlier_windows(tmp_path: Path) -> None:
    split = write_split(tmp_path, [[8], [8], [8], [8]])
    reader = reader_of(split, seed=None, window_rows=8)
    for path in split.files[:3]:
        path.unlink()
    reader.position = Position(batch=3)
    assert row_ids(list(reader)) == list(range(24, 32))


def test_position_is_that_of_the_next_batch(split: PreparedSplit) -> None:
    reader = reader_of(split, batch_size=25)
    seen = []
    for _ in reader:
        seen.append((reader.position, len(reader)))
    assert seen == [(Position(0, 1), 2), (Position(0, 2), 1), (Position(0, 3), 0)]
    assert (reader.position, len(reader)) == (Position(1, 0), 3)


def test_breaking_out_and_iterating_again_goes_on_where_it_stopped(split: PreparedSplit) -> None:
    expected = row_ids(list(reader_of(split)))
    reader = reader_of(split)
    first = row_ids([next(iter(reader))])
    assert first + row_ids(list(reader)) == expected


def test_an_empty_split_gives_no_batch(tmp_path: Path) -> None:
    reader = reader_of(write_split(tmp_path, [[], [0]]))
    assert (len(reader), list(reader)) == (0, [])


def test_an_error_in_collate_reaches_the_consumer(split: PreparedSplit) -> None:
    def collate(rows: Rows) -> Rows:
        raise KeyError("no such table")

    with pytest.raises(KeyError, match="no such table"):
        list(Reader(split, PLAN, batch_size=8, collate=collate, seed=1))


def test_a_broken_missing_or_foreign_file_is_named(tmp_path: Path) -> None:
    split = write_split(tmp_path, [[4]])
    path = split.files[0]
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"part-0\.arrow: cannot be read as a prepared Arrow file"):
        reader_of(split)
    path.unlink()
    with pytest.raises(DataError, match=r"part-0\.arrow: cannot be read"):
        reader_of(split)
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, pa.schema([("row", pa.int32())])):
        pass
    with pytest.raises(DataError, match=r"part-0\.arrow: lacks the prepared column 'ad'"):
        reader_of(split)


@pytest.mark.parametrize("size", ["batch_size", "prefetch", "window_rows"])
def test_sizes_must_be_positive(split: PreparedSplit, size: str) -> None:
    sizes = {"batch_size": 8, size: 0}
    with pytest.raises(ValueError, match=f"{size}=0"):
        Reader(split, PLAN, collate=lambda rows: rows, seed=1, **sizes)


def prefetch_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "prefetch"]


def test_no_more_than_size_items_are_made_ahead() -> None:
    made: list[int] = []

    def items() -> Iterator[int]:
        for i in range(100):
            made.append(i)
            yield i

    stream = prefetched(items(), size=3)
    assert made == []
    assert next(stream) == 0
    time.sleep(0.05)
    assert made == [0, 1, 2, 3, 4]  # one handed out, three queued, one waiting for room
    stream.close()
    assert len(made) <= 10
    assert prefetch_threads() == []


def test_abandoning_an_iteration_stops_the_thread(split: PreparedSplit) -> None:
    for _ in reader_of(split, batch_size=1):
        assert len(prefetch_threads()) == 1
        break
    assert prefetch_threads() == []


def test_an_error_of_the_consumer_stops_the_thread(split: PreparedSplit) -> None:
    def train() -> None:
        for batch in reader_of(split, batch_size=1):
            raise ZeroDivisionError(batch.num_rows)

    with pytest.raises(ZeroDivisionError):
        train()
    assert prefetch_threads() == []


def test_closing_a_reader_ends_its_iterations(split: PreparedSplit) -> None:
    reader = reader_of(split, batch_size=1)
    held = [iter(reader), iter(reader)]
    assert [next(iteration).num_rows for iteration in held] == [1, 1]
    assert len(prefetch_threads()) == 2
    reader.close()
    assert prefetch_threads() == []
    assert [list(iteration) for iteration in held] == [[], []]


def test_items_made_before_an_error_are_still_handed_out() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise OSError("disk gone")

    stream = prefetched(items(), size=1)
    assert next(stream) == 1
    with pytest.raises(OSError, match="disk gone"):
        next(stream)
