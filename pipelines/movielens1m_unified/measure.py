"""Multiplexed against separate hashed tables at three sizes: `python measure.py DIR`.

Trains the configurations of this folder at the full, half and tenth size with several seeds, the multiplexed one also
with two probes (two rows of half the width, out of twice as many), and prints the mean test AUC of each. Runs that are
finished are not repeated.
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


def at(name: str, *, seed: int, **table: int) -> Config:
    """Return a configuration of this folder with another seed, and with other keys of its table."""
    config = load_config(HERE / f"{name}.yaml")
    changes = {"train": config.train.model_copy(update={"seed": seed})}
    if table:
        changes["tables"] = {"hashed": config.tables["hashed"].model_copy(update=table)}
    return config.replaced(**changes)


def main() -> None:
    """Print a line for each size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder with train, valid and test.parquet")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--runs-dir", type=Path, default=Path("runs/movielens1m_unified"))
    options = parser.parse_args()

    def shown(name: str, **table: int) -> tuple[float, str]:
        folder = "-".join([name, *(f"{key}-{value}" for key, value in table.items())])
        aucs = [
            test_auc(at(name, seed=seed, **table), options.runs_dir / f"{folder}-{seed}", options.data)
            for seed in range(1, options.seeds + 1)
        ]
        spread = statistics.stdev(aucs) if len(aucs) > 1 else 0.0
        return statistics.mean(aucs), f"{statistics.mean(aucs):.5f} ({spread:.5f})"

    whole, text = shown("run")
    lines = [f"mean test AUC of {options.seeds} seeds (standard deviation)", f"collisionless {text}"]
    for size, rows in ROWS.items():
        own, separate = shown("separate", rows=rows)
        one, shared = shown("multiplexed", rows=rows)
        two, probed = shown("multiplexed", rows=rows, probes=2)
        lines.append(
            f"{size:>6}: separate {separate}, multiplexed {shared}, with two probes {probed}; multiplexed - separate "
            f"{one - own:+.5f}, {two - own:+.5f}; multiplexed - collisionless {one - whole:+.5f}, {two - whole:+.5f}"
        )
    print("\n".join(lines))


if __name__ == "__main__":
    main()
