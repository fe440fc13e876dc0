"""Prepared files whose columns all follow from the row's number, and readers of them."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch

from recsys.config import Field, ResolvedConfig
from recsys.config.feature_types import IdFeature, IdsFeature, NumberFeature
from recsys.config.run import Config
from recsys.data.prepared import PreparedSplit
from recsys.data.reader import Reader
from recsys.data.rows import Jagged, Rows
from recsys.ranks import SINGLE_PROCESS, World

FEATURES = {
    "row": IdFeature(type="id"),
    "price": NumberFeature(type="number"),
    "ad": IdFeature(type="id", vocabulary="open"),
    "tags": IdsFeature(type="ids"),
    "seen": IdsFeature(type="ids", vocabulary="open"),
    "age": NumberFeature(type="number"),
}
FIELDS = (
    Field(name="row", kind="id", feature="row", vocabulary="row"),
    Field(name="price", kind="number", feature="price", vocabulary=None),
    Field(name="ad", kind="id", feature="ad", vocabulary="ad", open=True),
    Field(name="tags", kind="ids", feature="tags", vocabulary="tags"),
    Field(name="seen", kind="ids", feature="seen", vocabulary="seen", open=True),
    Field(name="age", kind="number", feature="age", vocabulary=None),
)
PLAN = ResolvedConfig(
    config=Config(label={"click": "c", "buy": "b"}, features=FEATURES, weight="w", group="g"),
    features=FEATURES,
    fields=FIELDS,
    tables=(),
)


def record_batch(rows: Sequence[int]) -> pa.RecordBatch:
    """Return rows whose columns all follow from the row's number."""
    row = np.array(rows, np.int64)
    tags = [[100 * r + i for i in range(r % 4)] for r in rows]
    seen = [[r + 10**12] * (r % 3) for r in rows]
    return pa.record_batch(
        {
            "__group": pa.array(row // 10),
            "__label.buy": pa.array(np.ones(len(row)), pa.float32()),
            "__label.click": pa.array(row % 2, pa.float32()),
            "__weight": pa.array(row + 1, pa.float32()),
            "row": pa.array(row, pa.int32()),
            "price": pa.array(row / 2, pa.float32()),
            "ad": pa.array(row + 10**12),
            "tags": pa.array(tags, pa.list_(pa.int32())),
            "seen": pa.array(seen, pa.list_(pa.int64())),
            "age": pa.array(-row, pa.float32()),
        }
    )


def write_split(folder: Path, files: Sequence[Sequence[int]]) -> PreparedSplit:
    """Write one file for each list of record batch sizes; rows are numbered through."""
    paths, start = [], 0
    for number, sizes in enumerate(files):
        path = folder / f"part-{number}.arrow"
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, record_batch([]).schema) as writer:
            for size in sizes:
                writer.write(record_batch(range(start, start + size)))
                start += size
        paths.append(path)
    return PreparedSplit(files=tuple(paths), num_rows=start, positives={})


def reader_of(
    split: PreparedSplit,
    *,
    batch_size: int = 8,
    seed: int | None = 1,
    window_rows: int = 30,
    world: World = SINGLE_PROCESS,
) -> Reader[Rows]:
    return Reader(
        split,
        PLAN,
        batch_size=batch_size,
        collate=lambda rows: rows,
        seed=seed,
        prefetch=2,
        window_rows=window_rows,
        world=world,
    )


def row_ids(batches: Sequence[Rows]) -> list[int]:
    return [int(row) for batch in batches for row in batch.single["row"]]


def check_columns(batch: Rows) -> None:
    """Assert that all columns of a batch follow from the numbers of its rows, in value and type."""
    row = batch.single["row"].long()
    tags = [100 * int(r) + i for r in row for i in range(int(r) % 4)]
    expected = Rows(
        single={"row": row.int(), "ad": row + 10**12},
        lists={
            "tags": Jagged(torch.tensor(tags, dtype=torch.int32), (row % 4).int()),
            "seen": Jagged((row + 10**12).repeat_interleave(row % 3), (row % 3).int()),
        },
        numbers=torch.stack([row / 2, -row.float()], dim=1),
        labels=torch.stack([row % 2, torch.ones_like(row)], dim=1).float(),
        weights=row + 1.0,
        groups=row // 10,
        num_rows=len(row),
        batch_rows=batch.batch_rows,
    )
    torch.testing.assert_close(asdict(batch), asdict(expected))
