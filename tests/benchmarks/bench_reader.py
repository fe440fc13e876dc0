"""Rows a second of the reader on the Criteo shape (26 ids, 13 numbers, one label), against a torch DataLoader.

    python -m tests.benchmarks.bench_reader [ROWS] [BATCH_SIZE]

"of N ranks" is one rank's reader by itself: rows of all ranks a second that it keeps up with.
The DataLoader reads the same columns as one tensor each from memory (a TensorDataset), which is kinder than any file.
"""

import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch.utils.data import DataLoader, TensorDataset

from recsys.config import Field, ResolvedConfig
from recsys.config.feature_types import Feature, IdFeature, IdsFeature, NumberFeature
from recsys.config.run import Config
from recsys.data.prepared import PreparedSplit
from recsys.data.reader import Reader
from recsys.ranks import World

NUM_IDS, NUM_NUMBERS, CHUNK_ROWS, LIST_LEN, RANKS = 26, 13, 16_384, 20, 8


def make_plan(num_lists: int) -> ResolvedConfig:
    features: dict[str, Feature] = {f"C{i}": IdFeature(type="id") for i in range(NUM_IDS)}
    features |= {f"I{i}": NumberFeature(type="number") for i in range(NUM_NUMBERS)}
    features |= {f"L{i}": IdsFeature(type="ids") for i in range(num_lists)}
    fields = [
        Field(name=name, kind=feature.type, feature=name, vocabulary=None if feature.type == "number" else name)  # type: ignore[arg-type]
        for name, feature in features.items()
    ]
    return ResolvedConfig(
        config=Config(label="y", features=features), features=features, fields=tuple(fields), tables=()
    )


def write(path: Path, resolved: ResolvedConfig, num_rows: int) -> PreparedSplit:
    random = np.random.default_rng(1)

    def record_batch(size: int) -> pa.RecordBatch:
        columns: dict[str, Any] = {}
        for field in resolved.fields:
            if field.kind == "number":
                columns[field.name] = random.random(size, np.float32)
            elif field.kind == "id":
                columns[field.name] = random.integers(0, 100_000, size, np.int32)
            else:
                offsets = np.concatenate([[0], random.integers(0, 2 * LIST_LEN, size).cumsum()]).astype(np.int32)
                values = random.integers(0, 100_000, offsets[-1], np.int32)
                columns[field.name] = pa.ListArray.from_arrays(pa.array(offsets), pa.array(values))
        columns["__label.label"] = random.integers(0, 2, size).astype(np.float32)
        return pa.record_batch(columns)

    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, record_batch(1).schema) as writer:
        for start in range(0, num_rows, CHUNK_ROWS):
            writer.write(record_batch(min(CHUNK_ROWS, num_rows - start)))
    return PreparedSplit(files=(path,), num_rows=num_rows, positives={})


def rows_per_second(batches: Iterable[Any], num_rows: int) -> float:
    start = time.perf_counter()
    for _ in batches:
        pass
    return num_rows / (time.perf_counter() - start)


def data_loader(split: PreparedSplit, batch_size: int) -> Iterator[Any]:
    table = pa.ipc.open_file(pa.memory_map(str(split.files[0]))).read_all()
    columns = [torch.from_numpy(np.array(column)) for column in table.itercolumns()]
    yield from DataLoader(TensorDataset(*columns), batch_size=batch_size, shuffle=True)


def main(num_rows: int = 4_000_000, batch_size: int = 4096) -> None:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        for num_lists in (0, 1):
            resolved = make_plan(num_lists)
            split = write(Path(folder) / f"{num_lists}.arrow", resolved, num_rows)
            speeds = {}
            for size in (1, RANKS):
                for name, seed in {"in order": None, "shuffled": 1}.items():
                    reader = Reader(
                        split,
                        resolved,
                        batch_size=batch_size,
                        collate=lambda rows: rows,
                        seed=seed,
                        world=World(size // 2, size),
                    )
                    of_ranks = "" if size == 1 else f" of {size} ranks"
                    speeds[name + of_ranks] = max(rows_per_second(reader, num_rows) for _ in range(2))
            if not num_lists:
                batches, taken = data_loader(split, batch_size), 20
                next(batches)  # reads the file
                part = (batch for _, batch in zip(range(taken), batches, strict=False))
                speeds["DataLoader"] = rows_per_second(part, taken * batch_size)
            lists = f", {num_lists} list(s) of {LIST_LEN} on average" if num_lists else ""
            print(f"{NUM_IDS} ids, {NUM_NUMBERS} numbers{lists}, {num_rows:,} rows, batches of {batch_size}")
            for name, speed in speeds.items():
                print(f"  {name:19} {speed / 1e6:8.3f} M rows/s  ({speed / speeds['shuffled']:.3f} x shuffled)")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
