"""Training steps with native kernels against plain torch, in turn: `python -m tests.benchmarks.bench_kernels`.

Each case is trained twice from the same parameters on the same batches, or with --scores scores them; CPU seconds are
compared pair by pair. "bare" are the matrix products of a step and nothing else: what no kernel can save.
"""

import argparse
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from recsys.config import Config, resolve
from recsys.data.rows import Jagged, Rows
from recsys.embeddings import Batch, FeatureVocabulary, Layout
from recsys.kernels.library import find_kernels
from recsys.model import CtrModel
from recsys.training.allocator import keep_large_blocks
from recsys.training.strategy import shard
from recsys.training.task import CtrTask
from tests.kernels.plain import without_kernels

NUM_IDS, MEAN_LENGTH, MAX_LENGTH = 5_000, 8.4, 50
FIELDS = {f"c{i}": {"type": "id"} for i in range(10)}
HISTORY = {
    **{name: {"type": "id"} for name in ("user", "item", "category")},
    "items": {"type": "sequence", "of": "item", "max_len": MAX_LENGTH},
    "categories": {"type": "sequence", "of": "category", "max_len": MAX_LENGTH},
}
ATTENTION = {"tower": "autoint", "layers": 3, "heads": 2, "attention_dim": 64, "dim": 16}
CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "AutoInt": (FIELDS, ATTENTION),
    "AutoInt, dropout .1": (FIELDS, ATTENTION | {"attention_dropout": 0.1}),
    "AutoInt, 39 fields": ({f"c{i}": {"type": "id"} for i in range(39)}, ATTENTION),
    "AutoInt+": (FIELDS, ATTENTION | {"mlp": [400, 400, 400]}),
    "DIN": (HISTORY, {"tower": "din", "dim": 16, "attention_activation": "dice"}),
    "DIN, sigmoid": (HISTORY, {"tower": "din", "dim": 16}),
    "MLP": (FIELDS, {"tower": "mlp", "dim": 16}),
    "MLP 400x3": (FIELDS, {"tower": "mlp", "dim": 12, "mlp": [400, 400, 400], "dropout": 0.2, "batch_norm": True}),
}


class Trained:
    """A model, and steps of its training."""

    def __init__(self, case: str, precision: str) -> None:
        features, model = CASES[case]
        content = {"label": "y", "features": features, "model": model, "train": {"precision": precision}}
        if features is HISTORY:
            content["features"] = {name: dict(keys) for name, keys in features.items()}
        resolved = resolve(Config.model_validate(content, strict=False), [])
        vocabularies = {name: FeatureVocabulary(name, NUM_IDS) for name in features if "of" not in features[name]}
        uses_histories = resolved.config.model.uses_behaviours
        torch.manual_seed(0)
        self.layout = Layout(resolved, vocabularies, jagged=uses_histories, regularized=False)
        self.model = CtrModel(resolved, self.layout)
        sharded = shard(self.model, resolved.config.train.sparse_optimizer, device=torch.device("cpu"))
        self.sharded = sharded
        self.task = CtrTask(sharded, resolved.config.train, ["y"])
        self.features = features

    @torch.no_grad()
    def score(self, batch: Batch) -> None:
        """Compute the logits of a batch, as validation does."""
        self.sharded.eval()(batch)

    def batch(self, num_rows: int, draw: torch.Generator) -> Batch:
        """Draw a batch."""
        return self.layout.collate(self.rows(num_rows, draw))

    def rows(self, num_rows: int, draw: torch.Generator) -> Rows:
        """Draw rows; histories have a geometric length."""
        ids = {name: torch.randint(NUM_IDS, (num_rows,), generator=draw) for name in self.features}
        lengths = torch.empty(num_rows).geometric_(1 / (MEAN_LENGTH + 1), generator=draw).int() - 1
        lengths = lengths.clamp(max=MAX_LENGTH).int()
        lists = {
            name: Jagged(torch.randint(NUM_IDS, (int(lengths.sum()),), generator=draw).int(), lengths)
            for name, keys in self.features.items()
            if "of" in keys
        }
        single = {name: values.int() for name, values in ids.items() if name not in lists}
        labels = torch.randint(2, (num_rows, 1), generator=draw).float()
        return Rows(single, lists, torch.zeros(num_rows, 0), labels, None, None, num_rows, num_rows)


class Products(TorchDispatchMode):
    """Notes the matrix products of a block."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Any, list[Any]]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in (torch.ops.aten.mm.default, torch.ops.aten.addmm.default):
            self.calls.append((func, [arg.detach() if isinstance(arg, Tensor) else arg for arg in args]))
        return func(*args, **(kwargs or {}))

    def repeat(self) -> None:
        """Do the products again, and nothing else."""
        with torch.no_grad():
            for func, args in self.calls:
                func(*args)


Step = Callable[[Trained, Batch], object]


def products_of(step: Step, trained: Trained, batch: Batch) -> Products:
    with without_kernels(), Products() as products:
        step(trained, batch)
    return products


def cpu_seconds(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def measure(case: str, step: Step, *, batch_size: int, steps: int, precision: str) -> str:
    """Return a line: rows a second, and the medians of the ratios of pairs."""
    native, plain = Trained(case, precision), Trained(case, precision)
    draw = torch.Generator().manual_seed(0)
    products = products_of(step, Trained(case, precision), native.batch(batch_size, draw))
    took: list[list[float]] = []
    for _ in range(steps + 3):
        batch = native.batch(batch_size, draw)
        of_native = cpu_seconds(lambda batch=batch: step(native, batch))
        with without_kernels():
            of_plain = cpu_seconds(lambda batch=batch: step(plain, batch))
        took.append([of_native, of_plain, cpu_seconds(products.repeat)])
    rows = took[3:]
    rates = [batch_size / median(row[i] for row in rows) for i in range(2)]
    gain, over_bare, was_over_bare = (median(row[i] / row[j] for row in rows) for i, j in ((1, 0), (0, 2), (1, 2)))
    return f"{case:<22} {rates[1]:>10,.0f} {rates[0]:>10,.0f} {gain:>8.2f} {was_over_bare:>12.2f} {over_bare:>8.2f}"


def main() -> None:
    """Print a line a case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch-size", type=int, default=4096)
    parser.add_argument("--steps", type=int, default=15)
    parser.add_argument("--precision", choices=["32", "bf16-mixed"], default="32")
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--scores", action="store_true", help="score the batches instead of training on them")
    options = parser.parse_args()
    step: Step = Trained.score if options.scores else lambda trained, batch: trained.task.train_on(batch)
    torch.set_num_threads(1)
    keep_large_blocks()
    print(f"kernels: {find_kernels().detail}; precision {options.precision}, batches of {options.batch_size}")
    print(f"{'':<22} {'plain/s':>10} {'native/s':>10} {'ratio':>8} {'plain/bare':>12} {'native/':>8}")
    for case in options.cases:
        print(
            measure(case, step, batch_size=options.batch_size, steps=options.steps, precision=options.precision),
            flush=True,
        )


if __name__ == "__main__":
    main()
