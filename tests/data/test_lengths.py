from itertools import pairwise
from pathlib import Path

import pytest

from recsys.data import lengths, window
from recsys.data.lengths import mean_lengths
from recsys.data.window import Chunk
from tests.data.numbered_rows import PLAN, write_split


def test_lists_have_their_mean_and_single_ids_have_one(tmp_path: Path) -> None:
    split = write_split(tmp_path, [[10, 10], [], [4]])  # tags: row % 4, seen: row % 3
    assert mean_lengths(split, PLAN) == {"row": 1.0, "ad": 1.0, "tags": 1.5, "seen": 1.0}


def test_record_batches_count_by_their_rows(tmp_path: Path) -> None:
    split = write_split(tmp_path, [[4, 1]])  # tags: 0, 1, 2, 3 and 0
    assert mean_lengths(split, PLAN)["tags"] == pytest.approx(6 / 5)


def test_a_sample_is_spread_over_the_split(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    split = write_split(tmp_path, [[1] * 100, [1] * 50])
    read: list[int] = []

    def spy(chunks: list[Chunk]) -> object:
        read.extend(100 * int(chunk.file == split.files[1]) + chunk.number for chunk in chunks)
        return window.read_chunks(chunks)

    monkeypatch.setattr(lengths, "read_chunks", spy)
    mean_lengths(split, PLAN)
    assert len(read) == 64
    assert (read[0], read[-1]) == (0, 149)
    assert {after - before for before, after in pairwise(read)} == {2, 3}


def test_a_split_without_rows_has_no_ids(tmp_path: Path) -> None:
    assert mean_lengths(write_split(tmp_path, [[0]]), PLAN)["tags"] == 0.0
