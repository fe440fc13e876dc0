"""A log of 80 rows and a configuration for it, in the current folder."""

import json
from pathlib import Path
from typing import Any

import polars as pl

CONFIG: dict[str, Any] = {
    "label": "click",
    "features": {
        "user": {"type": "id", "min_count": 2},
        "item": {"type": "id", "max_size": 3},
        "price": {"type": "bucket", "quantiles": 4},
        "ts": {"type": "datetime", "parts": ["hour"]},
        "pair": {"type": "cross", "of": ["user", "item"]},
    },
    "data": {"train": "log.csv"},
}
ROWS = pl.DataFrame(
    {
        "user": [f"u{i // 2}" if i < 40 else f"once{i}" for i in range(80)],
        "item": [f"i{i % 10}" for i in range(80)],
        "price": [float(i) for i in range(80)],
        "ts": [1_600_000_000 + i for i in range(80)],
        "click": [i % 2 for i in range(80)],
    }
)


def write_log_and_config(**changes: Any) -> None:
    """Write log.csv and run.yaml; `changes` replace sections of the configuration."""
    ROWS.write_csv("log.csv")
    write_config(**changes)


def write_config(**changes: Any) -> None:
    Path("run.yaml").write_text(json.dumps(CONFIG | changes))
