"""Rows a second and memory of `prepare`: 13 numbers and 26 ids (Zipf, vocabularies of 10 to 1,000,000 values).

    python tests/benchmarks/bench_prepare.py --rows 4000000

The parquet file is generated first and not timed; preparing runs in a process of its own, so that the memory is its
own. `--eager` compares with the same work written in polars on one frame in memory.
"""

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq

from recsys.config import Config, FullTable, IdFeature, NumberFeature
from recsys.config.feature_types import BucketFeature
from recsys.config.run import DataSection
from recsys.data.prepare import prepare

CHUNK = 500_000
IDS = [f"C{i}" for i in range(26)]
NUMBERS = [f"I{i}" for i in range(13)]


def generate(path: Path, rows: int) -> None:
    rng = np.random.default_rng(0)
    sizes = np.geomspace(10, 1_000_000, len(IDS)).astype(np.int64)
    values = [_values(rng, int(size), text=i % 2 == 0) for i, size in enumerate(sizes)]
    writer = None
    for start in range(0, rows, CHUNK):
        n = min(CHUNK, rows - start)
        columns = [_numbers(rng, name, n, places=3 * (i % 2)) for i, name in enumerate(NUMBERS)]
        for name, value, size in zip(IDS, values, sizes, strict=True):
            rank = np.exp(rng.random(n) * np.log(size)).astype(np.int64) - 1  # Zipf with exponent 1
            columns.append(value.gather(rank).alias(name))
        columns.append(pl.Series("label", rng.random(n) < 0.2).cast(pl.Int8))
        table = pl.DataFrame(columns).to_arrow(compat_level=pl.CompatLevel.oldest())
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table)
    assert writer is not None
    writer.close()


def _values(rng: np.random.Generator, size: int, *, text: bool) -> pl.Series:
    values = pl.Series(rng.permutation(size))
    return pl.Series([f"{value * 2654435761 % 2**32:08x}" for value in values]) if text else values


def _numbers(rng: np.random.Generator, name: str, n: int, places: int) -> pl.Series:
    numbers = pl.Series(name, np.exp(rng.normal(size=n) * 2).round(places))
    return numbers.set(pl.Series(rng.random(n) < 0.1), None)


def config(path: Path) -> Config:
    features = {name: NumberFeature(type="number", transform="log1p", normalize="standard") for name in NUMBERS[2:]}
    features |= {name: BucketFeature(type="bucket", quantiles=32) for name in NUMBERS[:2]}
    features |= {name: IdFeature(type="id") for name in IDS}
    tables = {"all": FullTable(features=("*",))}
    return Config(label="label", features=features, tables=tables, data=DataSection(train=str(path)))


def measure(path: Path, cache: Path) -> None:
    start, cpu = time.perf_counter(), time.process_time()
    stages: dict[str, float] = {}

    def progress(stage: str, done: int, total: int | None) -> None:
        stages[stage] = round(time.perf_counter() - start, 2)

    prepared = prepare(config(path), path.parent, cache, progress)
    seconds = time.perf_counter() - start
    rows = sum(split.num_rows for split in prepared.splits.values())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    facts = {
        "rows": rows,
        "seconds": round(seconds, 2),
        "rows_per_second": round(rows / seconds),
        "cpu_seconds": round(time.process_time() - cpu, 2),
        "peak_rss_gib": round(peak, 2),
        "finished_at": stages,
    }
    print(json.dumps(facts))


def eager(path: Path, out: Path) -> None:
    """Do the same in a few lines of polars, with all rows in memory."""
    start = time.perf_counter()
    frame = pl.read_parquet(path)
    columns = []
    for name in IDS:
        counts = frame[name].value_counts().sort("count", name, descending=[True, False])
        counts = counts.with_row_index("id", offset=1).select(name, pl.col("id").cast(pl.Int32))
        columns.append(frame.select(name).join(counts, on=name, how="left", maintain_order="left")["id"].alias(name))
    for name in NUMBERS[2:]:
        number = pl.col(name).log1p()
        columns.append(frame.select(((number - number.mean()) / number.std()).fill_null(0).cast(pl.Float32))[name])
    for name in NUMBERS[:2]:
        bounds = np.unique(frame[name].drop_nulls().sort().gather(np.arange(1, 32) * frame[name].count() // 32))
        columns.append(pl.Series(name, np.searchsorted(bounds, frame[name].to_numpy(), side="right").astype(np.int32)))
    pl.DataFrame([*columns, frame["label"].cast(pl.Float32)]).write_ipc(out)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    facts = {
        "rows_per_second": round(len(frame) / seconds),
        "seconds": round(seconds, 2),
        "peak_rss_gib": round(peak, 2),
    }
    print("eager polars:", json.dumps(facts))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--eager", action="store_true")
    parser.add_argument("--folder", type=Path, help="keeps the generated file here, for another run")
    parser.add_argument("--child", choices=["prepare", "eager"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp())
    path = folder / f"clicks-{options.rows}.parquet"
    if options.child == "prepare":
        measure(path, folder / "cache")
        return
    if options.child == "eager":
        eager(path, folder / "eager.arrow")
        return
    try:
        folder.mkdir(exist_ok=True, parents=True)
        if not path.exists():
            generate(path, options.rows)
        for child in ["prepare", "eager"] if options.eager else ["prepare"]:
            shutil.rmtree(folder / "cache", ignore_errors=True)
            arguments = ["--rows", str(options.rows), "--folder", str(folder), "--child", child]
            subprocess.run([sys.executable, __file__, *arguments], check=True)
    finally:
        shutil.rmtree(folder / "cache" if options.folder else folder, ignore_errors=True)


if __name__ == "__main__":
    main()
