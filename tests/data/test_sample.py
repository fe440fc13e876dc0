from pathlib import Path

import numpy as np
import pytest

from recsys.data import prepared as prepared_module
from recsys.data.prepare import prepare
from recsys.data.sample import sample_split
from tests.data.prepared_clicks import config, table


def test_rows_are_drawn_in_their_order_over_all_record_batches(
    data: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepared_module, "BATCH_ROWS", 64)
    prepared = prepare(config(), data, cache)
    split = prepared.splits["train"]
    whole = table(split)
    sample = sample_split(split, prepared.resolved, 300, cache / "sample", seed=1)
    rows = table(sample)
    assert (sample.num_rows, len(rows)) == (300, 300)
    place = {row: index for index, row in enumerate(whole["row"].to_pylist())}
    places = [place[row] for row in rows["row"].to_pylist()]
    assert places == sorted(set(places))
    assert rows.equals(whole.take(places))
    assert abs(np.mean(places) - split.num_rows / 2) < 60


def test_the_seed_says_which_rows(data: Path, cache: Path) -> None:
    prepared = prepare(config(), data, cache)
    drawn = [
        table(sample_split(prepared.splits["train"], prepared.resolved, 50, cache / name, seed=seed))["row"].to_pylist()
        for name, seed in {"a": 1, "b": 1, "c": 2}.items()
    ]
    assert drawn[0] == drawn[1] != drawn[2]


def test_a_split_that_has_no_more_rows_is_taken_as_it_is(data: Path, cache: Path) -> None:
    prepared = prepare(config(), data, cache)
    split = prepared.splits["valid"]
    assert sample_split(split, prepared.resolved, split.num_rows, cache / "sample", seed=1) is split
    assert not (cache / "sample").exists()
