"""What several ranks cost and bring, on CPUs with gloo: `python tests/benchmarks/bench_ranks.py`.

1. A step of the tables through DistributedModelParallel at world size 1 against FBGEMM's bare kernel, in turn.
2. Rows/s of whole training steps, reader and all, on 1 and on 2 ranks with one and the same global batch.

`bench_step.py` has the third figure: time of a step against the rows of a table.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from fbgemm_gpu.split_embedding_configs import EmbOptimType
from fbgemm_gpu.split_table_batched_embeddings_ops_common import EmbeddingLocation
from fbgemm_gpu.split_table_batched_embeddings_ops_training import (
    ComputeDevice,
    SplitTableBatchedEmbeddingBagsCodegen,
)
from torch import Tensor, distributed, multiprocessing

from recsys.config import Config, SparseOptimizer, load_config, resolve
from recsys.data.prepare import prepare
from recsys.data.reader import Position, Reader
from recsys.data.rows import Rows
from recsys.data.synthetic import generate_wide
from recsys.embeddings import Batch, FeatureVocabulary, Layout
from recsys.model import CtrModel
from recsys.ranks import Exchange, current_world
from recsys.ranks.process_group import reader_group
from recsys.sharding import ShardingPlan, plan_for_run
from recsys.training.build import build
from recsys.training.strategy import shard
from recsys.training.task import CtrTask

FIELDS, ROWS, DIM = 26, 100_000, 16


def bare_step(ids_FB: Tensor) -> Callable[[], None]:
    """Return one step of the kernel on 26 tables: look up, backward, update."""
    fields, batch_size = ids_FB.shape
    kernel = SplitTableBatchedEmbeddingBagsCodegen(
        [(ROWS, DIM, EmbeddingLocation.HOST, ComputeDevice.CPU)] * fields,
        optimizer=EmbOptimType.EXACT_ROWWISE_ADAGRAD,
        learning_rate=0.05,
    )
    offsets = torch.arange(fields * batch_size + 1)
    ones = torch.ones(batch_size, fields * DIM)

    def step() -> None:
        kernel(ids_FB.flatten(), offsets).backward(ones)

    return step


def sharded_step(ids_FB: Tensor) -> Callable[[], None]:
    """Return the same step through the house's lookup."""
    names = [f"C{i}" for i in range(len(ids_FB))]
    content = {
        "label": "y",
        "features": {name: {"type": "id"} for name in names},
        "model": {"tower": "mlp", "dim": DIM},
    }
    resolved = resolve(Config.model_validate(content, strict=False), [])
    layout = Layout(resolved, {name: FeatureVocabulary(name, ROWS) for name in names}, jagged=False, regularized=False)
    model = shard(CtrModel(resolved, layout), SparseOptimizer(), device=torch.device("cpu"))
    count = ids_FB.shape[1]
    single = dict(zip(names, ids_FB, strict=True))
    batch = layout.collate(
        Rows(single, {}, torch.zeros(count, 0), torch.zeros(count, 1), None, None, num_rows=count, batch_rows=count)
    )
    ones = torch.ones(count, FIELDS * DIM)

    def step() -> None:
        pooled, _ = model.module.lookup(batch)
        pooled.values().backward(ones)

    return step


def overhead(steps: int, batch_size: int) -> None:
    """Print the medians of both, taken in turn, and their ratio."""
    ids_FB = torch.randint(ROWS, (FIELDS, batch_size), generator=torch.Generator().manual_seed(0))
    kinds = {"bare kernel": bare_step(ids_FB), "DistributedModelParallel, world size 1": sharded_step(ids_FB)}
    seconds: dict[str, list[float]] = {name: [] for name in kinds}
    for number in range(steps + 10):
        for name, step in kinds.items():
            started = time.perf_counter()
            step()
            if number >= 10:
                seconds[name].append(time.perf_counter() - started)
    medians = {name: 1000 * statistics.median(found) for name, found in seconds.items()}
    for name, median in medians.items():
        print(f"{name:>42}: {median:6.2f} ms a step")
    print(f"{'ratio':>42}: {medians['DistributedModelParallel, world size 1'] / medians['bare kernel']:6.2f}")


def rows_per_second(folder: Path, steps: int, batch_size: int) -> float:
    """Return the rows/s over all ranks of `steps` steps of a config with 26 fields and 13 numbers."""
    world = current_world()
    changes = {"batch_size": batch_size}
    config = load_config(folder / "config.yaml")
    config = config.model_copy(update={"train": config.train.model_copy(update=changes)})
    prepared = prepare(config, folder, folder / "cache")
    cpu = torch.device("cpu")

    def make_plan(model: CtrModel) -> ShardingPlan:
        return plan_for_run(model.layout, model.tower, config.train, lengths={}, device=cpu, world=world)

    built = build(prepared.resolved, prepared.state, device=cpu, world=world, make_plan=make_plan)
    task = CtrTask(built.model, config.train, list(config.labels), world=world)
    exchange = Exchange(world, reader_group())
    reader: Reader[Batch] = Reader(
        prepared.splits["train"],
        built.resolved,
        batch_size=batch_size,
        collate=lambda rows: built.layout.collate(rows, exchange=exchange),
        seed=1,
        world=world,
    )
    done, started = -10, 0.0
    while done < steps:
        reader.position = Position()
        task.start_epoch(iter(reader))
        for number in range(min(reader.num_batches, steps - done)):
            if done + number == 0:
                started = time.perf_counter()
            task.first_pass()
        done += number + 1
    return steps * batch_size / (time.perf_counter() - started)


def _rank(rank: int, size: int, folder: Path, steps: int, batch_size: int) -> None:
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // size))
    store = distributed.FileStore(str(folder / f"store-{size}"), size)
    distributed.init_process_group("gloo", store=store, rank=rank, world_size=size)
    found = rows_per_second(folder, steps, batch_size)
    if rank == 0:
        print(f"{size:>35} rank(s): {found:9,.0f} rows/s")
    distributed.destroy_process_group()


def main() -> None:
    """Print both figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--batch-size", type=int, default=4096)
    options = parser.parse_args()
    overhead(options.steps, options.batch_size)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "log"
        generate_wide(folder, rows=300_000, seed=1)
        prepare(load_config(folder / "config.yaml"), folder, folder / "cache")
        for size in (1, 2):
            multiprocessing.start_processes(
                _rank, args=(size, folder, options.steps, options.batch_size), nprocs=size, start_method="spawn"
            )


if __name__ == "__main__":
    main()
