"""Training steps against FuxiCTR's, in turn: `python -m tests.benchmarks.bench_peer_steps --fuxictr CHECKOUT`.

Models of the same sizes get the same batches, which lie in memory: reading rows is not part of a step. CPU seconds are
compared triple by triple: recsys with its kernels, recsys in plain torch, FuxiCTR. `bench_peers.py` says what it needs.
"""

import argparse
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from recsys.data.rows import Rows
from recsys.kernels.library import find_kernels
from recsys.training.allocator import keep_large_blocks
from tests.benchmarks.bench_kernels import CASES, MAX_LENGTH, NUM_IDS, Trained, cpu_seconds
from tests.benchmarks.peers.fuxictr import build, feature_map_of
from tests.benchmarks.peers.rows import Field
from tests.kernels.plain import without_kernels

SETTINGS: dict[str, tuple[str, dict[str, Any]]] = {
    "AutoInt": ("AutoInt", {"attention_layers": 3, "num_heads": 2, "attention_dim": 64, "dnn_hidden_units": []}),
    "DIN": (
        "DIN",
        {
            "attention_hidden_units": [80, 40],
            "attention_hidden_activations": "Dice",
            "dnn_hidden_units": [200, 80],
            "dnn_activations": "Dice",
            "din_target_field": ["x_item", "x_category"],
            "din_sequence_field": ["x_items", "x_categories"],
        },
    ),
    "MLP": ("DNN", {"hidden_units": [400, 400, 400]}),
}
"""The sizes that `CASES` state, as FuxiCTR spells them."""


def fields_of(case: str) -> list[Field]:
    """Return the columns; their names differ from ours since FuxiCTR knows no feature that is called "items"."""
    features = CASES[case][0]
    num_ids = NUM_IDS + 2
    return [
        Field(f"x_{name}", num_ids, MAX_LENGTH, f"x_{keys['of']}") if "of" in keys else Field(f"x_{name}", num_ids)
        for name, keys in features.items()
    ]


def peer_batch(rows: Rows) -> dict[str, Tensor]:
    """Return the batch as FuxiCTR reads it: ids from 1, histories padded with 0."""
    columns = {f"x_{name}": ids.long() + 1 for name, ids in rows.single.items()}
    for name, jagged in rows.lists.items():
        lists = (jagged.values.long() + 1).split(jagged.lengths.tolist())
        padded = torch.zeros(len(lists), MAX_LENGTH, dtype=torch.long)
        found = pad_sequence(lists, batch_first=True)
        padded[:, : found.shape[1]] = found
        columns[f"x_{name}"] = padded
    return {**columns, "label": rows.labels.squeeze(1)}


def measure(case: str, checkout: Path, *, batch_size: int, steps: int) -> str:
    """Return a line: rows a CPU second of the three, and the medians of the ratios."""
    native, plain = Trained(case, "32"), Trained(case, "32")
    name, settings = SETTINGS[case]
    draw = torch.Generator().manual_seed(0)
    took: list[list[float]] = []
    with tempfile.TemporaryDirectory() as folder:
        feature_map = feature_map_of(fields_of(case), Path(folder), 16)
        peer = build(name, feature_map, settings | {"embedding_dim": 16}, Path(folder), checkout)
        peer._max_gradient_norm = 10.0  # as `fit` sets it
        peer.train()
        for _ in range(steps + 3):
            rows = native.rows(batch_size, draw)
            batch, of_peer = native.layout.collate(rows), peer_batch(rows)
            seconds = [cpu_seconds(lambda batch=batch: native.task.train_on(batch))]
            with without_kernels():
                seconds.append(cpu_seconds(lambda batch=batch: plain.task.train_on(batch)))
            seconds.append(cpu_seconds(lambda of_peer=of_peer: peer.train_step(of_peer).item()))
            took.append(seconds)
    took = took[3:]
    rates = [batch_size / median(row[i] for row in took) for i in range(3)]
    over_plain, over_peer = (median(row[i] / row[0] for row in took) for i in (1, 2))
    return f"{case:<10} {rates[0]:>10,.0f} {rates[1]:>10,.0f} {rates[2]:>10,.0f} {over_plain:>8.2f} {over_peer:>8.2f}"


def main() -> None:
    """Print a line a case."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fuxictr", type=Path, required=True, help="checkout of FuxiCTR")
    parser.add_argument("--batch-size", type=int, default=4096)
    parser.add_argument("--steps", type=int, default=15)
    parser.add_argument("--cases", nargs="+", choices=SETTINGS, default=list(SETTINGS))
    options = parser.parse_args()
    torch.set_num_threads(1)
    keep_large_blocks()
    print(f"kernels: {find_kernels().detail}; batches of {options.batch_size}, rows a CPU second")
    print(f"{'':<10} {'native':>10} {'plain':>10} {'FuxiCTR':>10} {'/plain':>8} {'/FuxiCTR':>8}")
    for case in options.cases:
        print(measure(case, options.fuxictr, batch_size=options.batch_size, steps=options.steps), flush=True)


if __name__ == "__main__":
    main()
