"""Multiplexed against separate hashed tables at three sizes: `python measure.py DIR`.

Trains the three configurations of this folder at the full, half and tenth size with several seeds, and prints the mean
test AUC of each beside the difference. Runs that are finished are not repeated.
"""

import argparse
import json
import statistics
from pathlib import Path

from recsys.config import Config, load_config
from recsys.training.run import train

HERE = Path(__file__).parent
ROWS = {"full": 13_150, "half": 6_575, "tenth": 1_315}


def test_auc(config: Config, folder: Path, data: Path) -> float:
    """Train, unless that was done before, and return the test AUC."""
    if not (folder / "metrics.json").exists():
        train(config, data_dir=data, cache_dir=Path(".recsys-cache"), folder=folder, resume=folder.exists())
    auc: float = json.loads((folder / "metrics.json").read_text())["test.auc"]
    return auc


def at(name: str, *, rows: int | None, seed: int) -> Config:
    """Return a configuration of this folder with another size and seed."""
    config = load_config(HERE / f"{name}.yaml")
    changes = {"train": config.train.model_copy(update={"seed": seed})}
    if rows is not None:
        changes["tables"] = {"hashed": config.tables["hashed"].model_copy(update={"rows": rows})}
    return config.from_source(config.source, **changes)


def main() -> None:
    """Print a line for each size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder with train, valid and test.parquet")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--runs-dir", type=Path, default=Path("runs/movielens1m_unified"))
    options = parser.parse_args()
    seeds = range(1, options.seeds + 1)

    def mean(name: str, size: str | None) -> tuple[float, float]:
        rows = ROWS[size] if size else None
        aucs = [
            test_auc(at(name, rows=rows, seed=seed), options.runs_dir / f"{name}-{size}-{seed}", options.data)
            for seed in seeds
        ]
        return statistics.mean(aucs), statistics.stdev(aucs) if len(aucs) > 1 else 0.0

    whole, spread = mean("run", None)
    print(f"collisionless {whole:.5f} (standard deviation over {options.seeds} seeds {spread:.5f})")
    for size in ROWS:
        shared, own = mean("multiplexed", size), mean("separate", size)
        print(
            f"{size:>6}: multiplexed {shared[0]:.5f} ({shared[1]:.5f}), separate {own[0]:.5f} ({own[1]:.5f}), "
            f"difference {shared[0] - own[0]:+.5f}; multiplexed - collisionless {shared[0] - whole:+.5f}"
        )


if __name__ == "__main__":
    main()
