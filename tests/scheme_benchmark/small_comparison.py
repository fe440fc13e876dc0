"""A comparison of three schemes that takes seconds."""

from pathlib import Path
from typing import Any

from recsys.scheme_benchmark.run import Outcome, compare
from tests.training.logs import make_config

SCHEMES = "full,hash,hash/per_feature"


def run(folder: Path, data_dir: Path, **changes: Any) -> Outcome:
    options: dict[str, Any] = {"schemes": SCHEMES, "budgets": "0.5,40B", "seeds": 1, "folder": folder / "out"}
    config = changes.pop("config", None) or make_config(folder / "config", train={"epochs": 1})
    options |= {"log": lambda line: None} | changes
    return compare(
        config,
        data_dir=data_dir,
        cache_dir=data_dir / "cache",
        **options,
    )
