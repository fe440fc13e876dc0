"""Time of a training step with each embedding scheme: `python tests/benchmarks/bench_schemes.py`.

26 fields of 100,000 ids, an MLP tower. Every scheme takes a step in turn on the same rows, beside separate full tables;
a step is what the reader's thread does (ids to rows) plus forward, backward and both optimizers. Medians of the
ratios, step by step, are printed as a table.
"""

import argparse
import statistics
import time
from typing import Any

import torch

from recsys.config import Config, resolve
from recsys.config.schemes import SCHEMES
from recsys.data.rows import Rows
from recsys.embeddings import FeatureVocabulary, Layout
from recsys.errors import ConfigError
from recsys.model import CtrModel
from recsys.training.strategy import shard
from recsys.training.task import CtrTask

FIELDS = 26


class Contestant:
    """One model and its way of taking a step."""

    def __init__(self, tables: dict[str, Any], *, num_ids: int, dim: int) -> None:
        features = {f"C{i}": {"type": "id"} for i in range(FIELDS)}
        model = {"tower": "mlp", "dim": dim, "mlp": [256, 128]}
        resolved = resolve(
            Config.model_validate({"label": "y", "features": features, "tables": tables, "model": model}, strict=False),
            [],
        )
        self.layout = Layout(
            resolved, {name: FeatureVocabulary(name, num_ids) for name in features}, jagged=False, regularized=False
        )
        sharded = shard(
            CtrModel(resolved, self.layout), resolved.config.train.sparse_optimizer, device=torch.device("cpu")
        )
        self.task = CtrTask(sharded, resolved.config.train, ["label"])

    def step(self, rows: Rows) -> tuple[float, float]:
        """Return the seconds of ids to rows, and of the step on the model."""
        started = time.perf_counter()
        batch = self.layout.collate(rows)
        collated = time.perf_counter()
        self.task.train_on(batch)
        return collated - started, time.perf_counter() - collated


def make_rows(batch_size: int, num_ids: int, random: torch.Generator) -> Rows:
    """Return rows whose ids follow a power law."""
    single = {}
    for i in range(FIELDS):
        uniform = torch.rand(batch_size, generator=random)
        single[f"C{i}"] = (num_ids**uniform).long().clamp(max=num_ids - 1)
    labels = torch.randint(2, (batch_size, 1), generator=random).float()
    return Rows(single, {}, torch.zeros(batch_size, 0), labels, None, None, batch_size, batch_size)


def contestants(options: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Return the tables of each contestant: all features in one, at the budget where the scheme has one."""
    found: dict[str, dict[str, Any]] = {"full, a table a feature": {}}
    for name, section in SCHEMES.items():
        example = next(iter(section.examples.values()))
        keys = {key: example[key] for key in section.needed_keys()}
        table: dict[str, Any] = {"features": ["C*"], "scheme": name, **keys}
        if section.size_param is not None:
            table["budget"] = options.budget
        found[name] = {"all": table}
    if options.schemes:
        found = {name: tables for name, tables in found.items() if name in options.schemes or not tables}
    return found


def main() -> None:
    """Print a line for each scheme."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ids", type=int, default=100_000, help="of each field")
    parser.add_argument("--dim", type=int, default=16)
    parser.add_argument("--batch-size", type=int, default=4096)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--budget", type=float, default=0.2, help="of the full tables, for schemes that take one")
    parser.add_argument("--schemes", nargs="*", help="default: all")
    options = parser.parse_args()
    random = torch.Generator().manual_seed(0)
    models: dict[str, Contestant] = {}
    for name, tables in contestants(options).items():
        try:
            models[name] = Contestant(tables, num_ids=options.ids, dim=options.dim)
        except ConfigError as error:
            print(f"{name}: {error}")
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in models}
    for step in range(options.steps + 5):
        rows = make_rows(options.batch_size, options.ids, random)
        for name, model in models.items():
            took = model.step(rows)
            if step >= 5:
                times[name].append(took)
    base = times["full, a table a feature"]
    print(f"{'scheme':>24} {'ids to rows':>12} {'step':>10} {'ratio of both':>14}")
    for name, took in times.items():
        ratio = statistics.median(sum(mine) / sum(theirs) for mine, theirs in zip(took, base, strict=True))
        collate, step_ms = (1000 * statistics.median(column) for column in zip(*took, strict=True))
        print(f"{name:>24} {collate:9.1f} ms {step_ms:7.1f} ms {ratio:14.2f}")


if __name__ == "__main__":
    main()
