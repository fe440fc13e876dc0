"""Memory and speed of a 50 M x 16 table and of its compressed forms: `python tests/benchmarks/bench_memory.py`.

Every form trains in a process of its own on the same made log. Printed are the peak of the process, what of it is due
to the table (the peak less that of the same process with a table of 1,000 rows), the bytes that the scheme says it
needs for training, and rows/s.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from typing import Any

import torch

from recsys.config import Config, resolve
from recsys.data.rows import Rows
from recsys.embeddings import FeatureVocabulary, Layout
from recsys.model import CtrModel
from recsys.training.allocator import keep_large_blocks
from recsys.training.strategy import shard
from recsys.training.task import CtrTask


def train(table: dict[str, Any], *, num_ids: int, dim: int, batch_size: int, steps: int) -> dict[str, float]:
    """Train one table beside seven small features; return peak, bytes as the scheme counts them, and rows/s."""
    keep_large_blocks()
    features = {"item": {"type": "id"}, **{f"c{i}": {"type": "id"} for i in range(7)}}
    content = {"label": "y", "features": features, "tables": {"items": {"features": ["item"], **table}}}
    content["model"] = {"tower": "mlp", "dim": dim, "mlp": [64]}
    resolved = resolve(Config.model_validate(content, strict=False), [])
    vocabularies = {
        "item": FeatureVocabulary("item", num_ids),
        **{f"c{i}": FeatureVocabulary(f"c{i}", 1000) for i in range(7)},
    }
    layout = Layout(resolved, vocabularies, jagged=False, regularized=False)
    model = shard(CtrModel(resolved, layout), resolved.config.train.sparse_optimizer, device=torch.device("cpu"))
    task = CtrTask(model, resolved.config.train, ["label"])
    random = torch.Generator().manual_seed(0)
    seconds = []
    for _ in range(steps):
        single = {f"c{i}": torch.randint(1000, (batch_size,), generator=random) for i in range(7)}
        single["item"] = (num_ids ** torch.rand(batch_size, generator=random, dtype=torch.float64)).long() - 1
        labels = torch.randint(2, (batch_size, 1), generator=random).float()
        started = time.perf_counter()
        batch = layout.collate(Rows(single, {}, torch.zeros(batch_size, 0), labels, None, None, batch_size, batch_size))
        task.train_on(batch)
        seconds.append(time.perf_counter() - started)
    return {
        "peak": 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
        "bytes": sum(
            s.bytes("training", sparse="rowwise_adagrad", dense="adam") for s in layout.schemes_by_table["items"]
        ),
        "rows_per_second": batch_size / statistics.median(seconds),
    }


def main() -> None:
    """Print a line for each form."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ids", type=int, default=50_000_000)
    parser.add_argument("--dim", type=int, default=16)
    parser.add_argument("--batch-size", type=int, default=4096)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--budget", type=float, default=0.01)
    parser.add_argument("--schemes", nargs="*", default=["unified", "qr", "robe"])
    parser.add_argument("--only", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.only:
        sizes = {"num_ids": options.ids, "dim": options.dim, "batch_size": options.batch_size, "steps": options.steps}
        print(json.dumps(train(json.loads(options.only), **sizes)))
        return
    tables = {name: {"scheme": name, "budget": options.budget} for name in options.schemes}
    cases = {"1,000 rows": {"scheme": "hash", "rows": 1000}, "full": {"scheme": "full"}, **tables}
    found = {name: measured(table, options) for name, table in cases.items()}
    floor = found["1,000 rows"]["peak"]
    full = found["full"]["peak"] - floor
    print(f"{'table':>12} {'peak':>10} {'of the table':>13} {'of full':>8} {'as counted':>11} {'rows/s':>10}")
    for name, figures in found.items():
        own = figures["peak"] - floor
        print(
            f"{name:>12} {figures['peak'] / 1e6:7.0f} MB {own / 1e6:10.0f} MB {own / full:8.4f} "
            f"{figures['bytes'] / 1e6:8.0f} MB {figures['rows_per_second']:10,.0f}"
        )


def measured(table: dict[str, Any], options: argparse.Namespace) -> dict[str, float]:
    """Train in a fresh process."""
    sizes = [f"--{key}={getattr(options, key.replace('-', '_'))}" for key in ("ids", "dim", "batch-size", "steps")]
    command = [sys.executable, __file__, *sizes, "--only", json.dumps(table)]
    lines = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    figures: dict[str, float] = json.loads(lines[-1])
    return figures


if __name__ == "__main__":
    main()
