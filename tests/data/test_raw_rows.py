"""Raw rows lie in the order of the prepared ones, however the splits are made."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from recsys.config import DataSection, FractionSplit, TimeSplit
from recsys.data.prepare import prepare
from recsys.data.raw_rows import find_raw_rows
from recsys.data.splits import SPLITS
from recsys.errors import DataError
from tests.data.prepared_clicks import all_rows, clicks, config

SECTIONS: dict[str, dict[str, Any]] = {
    "at random": {"train": "part-*.parquet"},
    "at random, of csv": {"train": "part-*.csv"},
    "with a seed of its own": {"train": "part-*.parquet", "split": FractionSplit(valid=0.3, test=0.2, seed=7)},
    "by time": {"train": "part-*.parquet", "split": TimeSplit(by="time", column="ts", valid=0.2, test=0.1)},
    "by files": {"train": "part-0.parquet", "valid": "part-1.parquet", "test": ("part-2.parquet", "part-0.parquet")},
    "validation from the training files": {"train": "part-[01].parquet", "test": "part-2.parquet"},
    "no test rows": {"train": "part-0.parquet", "valid": "part-1.parquet"},
}


@pytest.mark.parametrize("section", SECTIONS.values(), ids=SECTIONS)
def test_raw_rows_are_those_of_the_prepared_split_in_its_order(section: Any, data: Path, cache: Path) -> None:
    frame = clicks(900).with_columns(ts=pl.Series(np.random.default_rng(0).permutation(900)))
    for number in range(3):
        part = frame[number * 300 : number * 300 + 300]
        part.write_parquet(data / f"part-{number}.parquet")
        part.write_csv(data / f"part-{number}.csv")
    prepared = prepare(config(data=DataSection(**section)), data, cache)
    expected = all_rows(prepared)
    for split in SPLITS:
        if split not in expected:
            with pytest.raises(DataError, match=rf"data\.{split}: there are no such rows"):
                find_raw_rows(prepared.resolved, data, split)
            continue
        chunks = list(find_raw_rows(prepared.resolved, data, split).chunks(["row"]))
        assert [int(row) for chunk in chunks for row in chunk.frame["row"].to_list()] == expected[split]
        in_files = [chunk.row(i) for chunk in chunks for i in range(len(chunk.frame))]
        assert [row % 300 + 1 for row in expected[split]] == in_files
