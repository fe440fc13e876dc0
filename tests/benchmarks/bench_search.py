"""What searches for dims reach on data of your own, against uniform dims: `python tests/benchmarks/bench_search.py`.

    python tests/benchmarks/bench_search.py pipelines/frappe_search/run.yaml DIR --methods dnis,optembed,nested

Trains the configuration with each uniform dim, searches with each method at the budget, and trains the tables that were
found, all with several seeds, and prints a table of the test split. What is done is not repeated, and a training or a
search that was stopped goes on.
"""

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from recsys.config import Config, load_config
from recsys.config.schemes.full import FullTable
from recsys.run_folder import RunFolder
from recsys.training.run import train


class Line(NamedTuple):
    """What the trainings of one configuration came to."""

    name: str
    serving_bytes: float
    aucs: list[float]
    """Test AUC of each seed."""
    cost: float | None
    """Trainings of the configuration as it is that the search took, without the baseline and the last training."""

    @property
    def mean(self) -> float:
        """Mean test AUC of the seeds."""
        return statistics.mean(self.aucs)


class Bench:
    """Trains and searches in one folder, and leaves out what is done there."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.config = load_config(options.config)

    def uniform(self, form: str) -> Line:
        """Train every table at one width, "16", or "16:fp16" if they are served in another precision."""
        dim, _, precision = form.partition(":")
        model = self.config.model.model_copy(update={"dim": int(dim)})
        config = self.config.replaced(model=model)
        if precision:
            one = FullTable.model_validate({"features": ("*",), "serving_precision": precision})
            config = config.replaced(tables={"all": one})
        return self._line("-".join(["uniform", dim, *([precision] if precision else [])]), lambda: config, cost=None)

    def searched(self, method: str) -> Line:
        """Search once, with the first seed, and train what was found with all seeds."""
        name = f"{method}-{self.options.budget}"
        folder = self.options.out / "searches" / name
        if not (folder / "result.json").exists():
            self._search(method, name)
        found = json.loads((folder / "result.json").read_text())
        # In CPU seconds, which hold on a busy machine too.
        cost = sum(part["cpu_seconds"] for part in found["costs"].values()) / found["baseline_cost"]["cpu_seconds"]
        return self._line(name, lambda: load_config(folder / "best.yaml"), cost=cost)

    def _search(self, method: str, name: str) -> None:
        options = self.options
        arguments = ["--method", method, "--budget", options.budget, "--name", name]
        if method == "optuna":
            arguments += ["--trials", options.trials]
        arguments += ["--data-dir", options.data, "--cache-dir", options.out / "cache", "--out"]
        command = [sys.executable, "-m", "recsys", "search", options.config, *arguments, options.out / "searches"]
        subprocess.run(list(map(str, command)), check=True)

    def _line(self, name: str, config: Callable[[], Config], *, cost: float | None) -> Line:
        metrics = [self._train(config, seed, f"{name}-{seed}") for seed in range(1, self.options.seeds + 1)]
        aucs = [one["test.auc"] for one in metrics]
        return Line(name, metrics[0]["embedding_bytes.serving"], aucs, cost)

    def _train(self, config: Callable[[], Config], seed: int, name: str) -> dict[str, float]:
        """Train with a seed, unless that was done before, and return the metrics."""
        folder = self.options.out / name
        if not (folder / "metrics.json").exists():
            made = config()
            seeded = made.replaced(train=made.train.model_copy(update={"seed": seed}))
            cache = self.options.out / "cache"
            train(seeded, data_dir=self.options.data, cache_dir=cache, folder=folder, resume=folder.exists())
        return RunFolder(folder).read_metrics()


def table(uniform: Sequence[Line], searched: Sequence[Line]) -> str:
    """Return the lines as a table; the widest uniform dim is what bytes and AUC are compared with."""
    widest = max(uniform, key=lambda line: line.serving_bytes)
    lines = [
        f"| tables | bytes | of {widest.name} | test AUC | spread | - {widest.name} | - best uniform fp32 of its bytes "
        "| trainings |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for line in [*uniform, *searched]:
        equal = [one for one in uniform if one.serving_bytes <= line.serving_bytes and "fp16" not in one.name]
        best = max((one.mean for one in equal), default=None) if line in searched else None
        cells = [
            line.name,
            f"{line.serving_bytes:,.0f}",
            f"{line.serving_bytes / widest.serving_bytes:.3f}",
            f"{line.mean:.5f}",
            f"{statistics.stdev(line.aucs) if len(line.aucs) > 1 else 0:.5f}",
            f"{line.mean - widest.mean:+.5f}",
            "" if best is None else f"{line.mean - best:+.5f}",
            "" if line.cost is None else f"{line.cost:.2f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path)
    parser.add_argument("data", type=Path, help="folder that the paths of the configuration are relative to")
    parser.add_argument("--methods", default="nested,dnis,optembed", help='comma-separated; "" for none')
    parser.add_argument("--budget", default="0.25", help="of the tables as they are in the configuration")
    parser.add_argument(
        "--dims", default="32,16,8,16:fp16", help="uniform dims to compare with; 16:fp16 is served in 16 bits"
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--trials", type=int, default=30, help="of a search by optuna")
    parser.add_argument("--out", type=Path, default=Path("runs/bench_search"), help="folder for all that is made")
    bench = Bench(parser.parse_args())
    dims = bench.options.dims.split(",")
    methods = [method for method in bench.options.methods.split(",") if method]
    print(table([bench.uniform(dim) for dim in dims], [bench.searched(method) for method in methods]))


if __name__ == "__main__":
    main()
