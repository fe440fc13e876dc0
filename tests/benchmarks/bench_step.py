"""Time of a training step against the rows of a table: `python tests/benchmarks/bench_step.py`.

A fused optimizer touches only the rows of the batch, so a table of 10 M rows must cost about what one of 10 k does.
Both models take steps in turn on the same machine; the ratio of the medians is printed.
"""

import argparse
import statistics
import time
from collections.abc import Iterator

import torch

from recsys.config import Config, resolve
from recsys.config.losses.logloss import LogLossSection
from recsys.data.rows import Rows
from recsys.embeddings import Batch, FeatureVocabulary, Layout
from recsys.losses import build_loss, weighted_mean
from recsys.model import CtrModel
from recsys.training.strategy import shard
from recsys.training.task import dense_optimizer


def make(rows: int, lambda_: float) -> tuple[Layout, torch.nn.Module, torch.optim.Optimizer]:
    """Return a model with one open feature in a table of `rows` rows and seven small features."""
    features = {"item": {"type": "id", "vocabulary": "open"}, **{f"c{i}": {"type": "id"} for i in range(7)}}
    table = {"features": ["item"], "scheme": "hash", "rows": rows}
    train = {"regularization": {"rows": lambda_}}
    content = {"label": "y", "features": features, "tables": {"items": table}, "train": train}
    resolved = resolve(Config.model_validate(content, strict=False), [])
    vocabularies = {
        "item": FeatureVocabulary("item", None),
        **{f"c{i}": FeatureVocabulary(f"c{i}", 1000) for i in range(7)},
    }
    layout = Layout(resolved, vocabularies, jagged=False, regularized=lambda_ > 0)
    model = shard(CtrModel(resolved, layout), resolved.config.train.sparse_optimizer, device=torch.device("cpu"))
    return layout, model, dense_optimizer(model, resolved.config.train.dense_optimizer)


def batches(batch_size: int) -> Iterator[Rows]:
    """Yield random rows; the open ids hardly ever repeat."""
    random = torch.Generator().manual_seed(0)
    while True:
        single = {f"c{i}": torch.randint(1000, (batch_size,), generator=random) for i in range(7)}
        single["item"] = torch.randint(2**62, (batch_size,), generator=random)
        labels = torch.randint(2, (batch_size, 1), generator=random).float()
        yield Rows(single, {}, torch.zeros(batch_size, 0), labels, None, None, batch_size, batch_size)


def step(model: torch.nn.Module, optimizer: torch.optim.Optimizer, batch: Batch, lambda_: float) -> float:
    """Return the seconds of one step."""
    started = time.perf_counter()
    output = model(batch)
    loss = weighted_mean(build_loss(LogLossSection())(output.logits, batch.labels), None) + lambda_ * output.penalty
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return time.perf_counter() - started


def main() -> None:
    """Print the medians and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs=2, default=[10_000, 10_000_000])
    parser.add_argument("--batch-size", type=int, default=4096)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--lambda", dest="lambda_", type=float, default=0.0, help="row regularisation")
    options = parser.parse_args()
    models = [make(rows, options.lambda_) for rows in options.rows]
    seconds: list[list[float]] = [[], []]
    for index, rows in zip(range(options.steps + 10), batches(options.batch_size), strict=False):
        for which, (layout, model, optimizer) in enumerate(models):
            counts = {name: torch.ones(1).expand(t.rows) for name, t in layout.physical_tables.items()}
            batch = layout.collate(rows, row_counts=counts if options.lambda_ else None)
            took = step(model, optimizer, batch, options.lambda_)
            if index >= 10:
                seconds[which].append(took)
    small, large = (statistics.median(times) * 1000 for times in seconds)
    print(f"{options.rows[0]:>12,} rows: {small:8.2f} ms a step")
    print(f"{options.rows[1]:>12,} rows: {large:8.2f} ms a step")
    print(f"ratio of medians: {large / small:.3f}")


if __name__ == "__main__":
    main()
