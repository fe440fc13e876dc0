"""A run folder with predictions that nobody has trained: made in no time, and enough for what reads predictions."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from recsys.config import Config
from recsys.data.prepare import prepare
from recsys.run_folder import RunFolder
from recsys.training.start import start_run


def click_rows(rows: int = 600, *, seed: int = 0) -> pl.DataFrame:
    """Draw rows of which no feature of `run_config` reads `country` and `row`."""
    rng = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "row": np.arange(rows),
            "user": [f"u{user}" for user in rng.zipf(1.5, rows) % 50],
            "price": rng.lognormal(size=rows),
            "tags": [[f"t{i}" for i in range(n)] for n in rng.integers(0, 4, rows)],
            "country": rng.choice(["de", "fr", "us"], rows),
            "weight": rng.random(rows),
            "clicked": (rng.random(rows) < 0.3).astype(np.int8),
            "bought": (rng.random(rows) < 0.5).astype(np.int8),
        }
    )


def run_config(**changes: Any) -> Config:
    basis = {
        "label": "clicked",
        "group": "user",
        "features": {"user": {"type": "id"}, "price": {"type": "number"}, "tags": {"type": "ids"}},
        "data": {"train": "part-*.parquet"},
    }
    return Config(**(basis | changes))


def write_parts(folder: Path, rows: pl.DataFrame) -> None:
    """Write the rows as two files."""
    folder.mkdir(parents=True, exist_ok=True)
    half = len(rows) // 2
    for number, part in enumerate((rows[:half], rows[half:])):
        part.write_parquet(folder / f"part-{number}.parquet")


def untrained_run(folder: Path, data: Path, config: Config | None = None) -> RunFolder:
    """Start a run on the files in `data`, and write predictions of its test rows."""
    prepared = prepare(config or run_config(), data, data / "cache")
    run = RunFolder(folder)
    start_run(run, prepared, data)
    table = pl.concat([pl.read_ipc(file) for file in prepared.splits["test"].files])
    scores = np.random.default_rng(1).random(len(table))
    tasks = list(prepared.resolved.config.labels)
    columns = {"__weight": "weight", "__group": "group"}
    for task in tasks:
        suffix = "" if len(tasks) == 1 else f".{task}"
        columns[f"__label.{task}"] = f"label{suffix}"
        table = table.with_columns(pl.Series(f"score{suffix}", scores))
    named = {old: new for old, new in columns.items() if old in table.columns}
    run.predictions("test").parent.mkdir()
    kept = [*named.values(), *(name for name in table.columns if name.startswith("score"))]
    table.rename(named).select(kept).write_parquet(run.predictions("test"))
    return run
