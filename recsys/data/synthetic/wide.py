"""Synthetic click log of the Criteo shape: 13 skewed numbers with gaps, 26 ids of up to a million values.

The click probability is the logistic of a sum of effects of single columns, of pairs of id columns, and of one number
whose slope depends on an id. Ids act by their class, one of 8, which only the most frequent values of a column have, so
that there is nothing to learn from the rare ones.

Dimension key: R rows of a chunk, N numbers, C id columns.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from recsys.data.synthetic.log import Floats, SyntheticLog, write_log
from recsys.progress import OnProgress, no_progress

__all__ = ["VOCABULARIES", "Wide", "generate_wide"]

Ints = npt.NDArray[np.integer[Any]]

NUM_NUMBERS = 13
VOCABULARIES = (
    *(1_460, 583, 1_000_000, 300_000, 305, 24, 12_517, 633, 4, 93_145, 5_683, 800_000, 3_194),
    *(27, 14_992, 600_000, 10, 5_652, 2_173, 5, 700_000, 18, 15, 200_000, 105, 100_000),
)
"""Values of C1 .. C26."""
PAIRS = ((0, 5), (1, 16), (4, 13), (8, 22), (19, 21), (7, 18), (12, 24), (2, 10))
"""Id columns that act together."""
NUM_CLASSES, NUM_COMMON = 8, 100
"""The most frequent NUM_COMMON values of a column are assigned to the classes; all others are in one without effect."""

CONFIG = """\
# A synthetic click log of the Criteo shape; see README.md for what was planted in it.
label: clicked
features:
  "I*": {type: number, transform: log1p, normalize: standard}
  "C*": {type: id, min_count: 2}
data: {train: train/*.parquet, valid: valid.parquet, test: test.parquet}
model: {tower: mlp, dim: 16, mlp: [256, 128], activation: relu}
train:
  epochs: 3
  batch_size: 4096
  seed: 1
  sparse_optimizer: {name: rowwise_adagrad, lr: 0.05}
  dense_optimizer: {name: adam, lr: 1.0e-3}
  regularization: {rows: 0.4}
  lr_schedule: constant
"""

ABOUT = """\
# A synthetic click log of the Criteo shape

13 numbers (I1 .. I13, skewed, some missing) and 26 ids (C1 .. C26, integers and hexadecimal text by turns, up to a
million values). `clicked` is 1 with a probability that follows from the other columns alone: effects of single columns,
of pairs of id columns, and of one number whose slope depends on an id.

    recsys train config.yaml --data-dir .
"""


class Wide:
    """The recipe: what every value means, drawn from the seed."""

    def __init__(self, *, rows: int, seed: int) -> None:
        self.rows = rows
        self.seed = seed
        random = np.random.default_rng([seed, 0])
        self.values = [_spell(size, as_text=bool(c % 2), random=random) for c, size in enumerate(VOCABULARIES)]
        num_ids = len(VOCABULARIES)
        self.class_of = random.integers(0, NUM_CLASSES, (num_ids, NUM_COMMON + 1))
        self.class_of[:, NUM_COMMON] = NUM_CLASSES
        self.id_effect = _effects(random.normal(0, 0.2, (num_ids, NUM_CLASSES)))
        self.pair_effect = _effects(_centred(random.normal(0, 0.6, (len(PAIRS), NUM_CLASSES, NUM_CLASSES))))
        self.slope = _effects(random.normal(0, 0.5, (1, NUM_CLASSES)))[0]
        self.median = random.uniform(0, 6, NUM_NUMBERS)  # of the logarithm
        self.spread = random.uniform(0.5, 2, NUM_NUMBERS)
        self.missing = random.uniform(0, 0.4, NUM_NUMBERS)
        self.number_effect = random.normal(0, 0.15, NUM_NUMBERS)

    def columns(self, first_row: int, num_rows: int, random: np.random.Generator) -> tuple[dict[str, pa.Array], Floats]:
        """Return the columns of some rows, and the probability of a click in each of them."""
        del first_row  # nothing changes with time
        columns: dict[str, pa.Array] = {}
        logit = np.full(num_rows, -1.5)
        heights = np.empty((NUM_NUMBERS, num_rows), np.float32)
        for n in range(NUM_NUMBERS):
            columns[f"I{n + 1}"], heights[n] = self._number(n, num_rows, random)
        logit += self.number_effect @ heights
        classes = np.empty((len(VOCABULARIES), num_rows), np.int64)
        for c, size in enumerate(VOCABULARIES):
            rank = _log_uniform(size, num_rows, random)
            columns[f"C{c + 1}"] = self.values[c].take(pa.array(rank))
            classes[c] = self.class_of[c].take(np.minimum(rank, NUM_COMMON))
            logit += self.id_effect[c].take(classes[c])
        for (a, b), effect in zip(PAIRS, self.pair_effect, strict=True):
            logit += effect.ravel().take(classes[a] * (NUM_CLASSES + 1) + classes[b])
        logit += self.slope.take(classes[22]) * heights[0]
        return columns, 1 / (1 + np.exp(-logit))

    def _number(self, n: int, num_rows: int, random: np.random.Generator) -> tuple[pa.Array, npt.NDArray[np.float32]]:
        """Return a column, and how far each value is from the median, in spreads (0 where it is missing)."""
        normal = random.standard_normal(num_rows, np.float32)
        value = np.exp(self.median[n] + self.spread[n] * normal).astype(np.int64)
        is_missing = random.random(num_rows, np.float32) < self.missing[n]
        height = np.clip((np.log1p(value, dtype=np.float32) - self.median[n]) / self.spread[n], -2.5, 2.5)
        return pa.array(value, mask=is_missing), np.where(is_missing, 0, height)


def generate_wide(folder: Path, *, rows: int, seed: int = 1, on_progress: OnProgress = no_progress) -> SyntheticLog:
    """Write a click log of the Criteo shape, with a config.yaml to train on it.

    Args:
        folder: new or empty.
        rows: number of rows in all; the last tenth is the test split, the tenth before it the validation split.
        seed: seed of all random numbers; the same arguments give the same rows.
        on_progress: called after each chunk of rows.

    Raises:
        DataError: `folder` holds something, or there are too few rows.
    """
    facts = {"shape": "criteo", "rows": rows, "seed": seed}
    return write_log(
        Wide(rows=rows, seed=seed), folder, config=CONFIG, about=ABOUT, facts=facts, on_progress=on_progress
    )


def _log_uniform(size: int, num_rows: int, random: np.random.Generator) -> Ints:
    """Draw ranks in [0, size), of which rank k has probability log((k + 2) / (k + 1)) / log(size + 1): about Zipf."""
    rank: Ints = np.exp(random.random(num_rows) * np.log(size + 1)).astype(np.int64) - 1
    return np.minimum(rank, size - 1)


def _effects(by_class: Floats) -> Floats:
    """Append a class without effect to every axis but the first."""
    return np.pad(by_class, [(0, 0)] + [(0, 1)] * (by_class.ndim - 1))


def _centred(pairs: Floats) -> Floats:
    """Make the effects of each pair sum to zero over either of its classes: neither says anything alone."""
    pairs = pairs - pairs.mean(axis=1, keepdims=True)
    centred: Floats = pairs - pairs.mean(axis=2, keepdims=True)
    return centred


def _spell(size: int, *, as_text: bool, random: np.random.Generator) -> pa.Array:
    """Return `size` different values: integers below 2^31, or 8 hexadecimal digits."""
    factor, offset = 2 * int(random.integers(2**29)) + 1, int(random.integers(2**31))
    codes = (np.arange(size) * factor + offset) % 2**31  # one to one, since the factor is odd
    if not as_text:
        return pa.array(codes)
    digits = np.frombuffer(b"0123456789abcdef", np.uint8)
    text = digits[(codes[:, None] >> np.arange(28, -1, -4)) & 15]
    offsets = np.arange(0, 8 * size + 1, 8, dtype=np.int32)
    return pa.StringArray.from_buffers(size, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(text)))
