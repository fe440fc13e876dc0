"""Write a synthetic click log to disk as a stream, and compute how well a model could possibly predict it.

Rows are made in chunks of fixed size, each from (seed, number of the chunk): any chunk can be made alone, and a log of
any length fits in memory.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from recsys.data.prefetch import prefetched
from recsys.errors import DataError
from recsys.files import DRAFT, draft
from recsys.progress import OnProgress, no_progress

__all__ = ["CHUNK_ROWS", "Log", "Sample", "SyntheticLog", "Truth", "make_chunk", "write_log"]

CHUNK_ROWS = 65_536
PART_ROWS = 2**20
MIN_ROWS = 100

Floats = npt.NDArray[np.floating[Any]]
"""Told (stage, rows written so far, rows of the whole log)."""


class Log(Protocol):
    """A recipe for rows."""

    rows: int
    seed: int

    def columns(self, first_row: int, num_rows: int, random: np.random.Generator) -> tuple[dict[str, pa.Array], Floats]:
        """Return the columns of some rows, and the probability of a click in each of them."""
        ...


class Sample(NamedTuple):
    """Some consecutive rows of a log."""

    table: pa.Table
    """Rows with the label `clicked`."""
    probability: npt.NDArray[np.float32]
    """The label is 1 with this probability, given all other columns; one for each row."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Truth:
    """Metrics of a model that knows the true probability of each row of a split."""

    num_rows: int
    click_rate: float
    auc: float
    """AUC of the true probabilities against the labels of these rows."""
    expected_auc: float
    """The same on average over labels drawn anew."""
    logloss: float


@dataclass(frozen=True, kw_only=True, slots=True)
class SyntheticLog:
    """The files of a synthetic click log."""

    folder: Path
    config: Path
    truth: dict[str, Truth]
    """Best possible metrics of each split: train, valid, test."""

    @property
    def bayes_auc(self) -> dict[str, float]:
        """The best possible AUC of each split."""
        return {split: best.auc for split, best in self.truth.items()}


class _File(NamedTuple):
    path: str
    split: str
    start: int
    stop: int


def make_chunk(log: Log, number: int) -> Sample:
    """Return rows [number * CHUNK_ROWS, (number + 1) * CHUNK_ROWS) of `log`, as far as it goes."""
    first = number * CHUNK_ROWS
    random = np.random.default_rng([log.seed, number + 1])
    columns, exact = log.columns(first, min(CHUNK_ROWS, log.rows - first), random)
    probability = exact.astype(np.float32)
    clicked = random.random(len(probability), np.float32) < probability
    return Sample(pa.table({"clicked": pa.array(clicked.astype(np.int8)), **columns}), probability)


def write_log(
    log: Log, folder: Path, *, config: str, about: str, facts: Mapping[str, Any], on_progress: OnProgress = no_progress
) -> SyntheticLog:
    """Write train/part-*.parquet, valid.parquet, test.parquet (the latest rows), config.yaml, truth.json, README.md.

    Args:
        log: recipe of the rows, which are in order of time.
        folder: new or empty.
        config: text of config.yaml.
        about: text of README.md, to which the truth is added.
        facts: written to truth.json beside the truth.
        on_progress: called after each chunk.

    Raises:
        DataError: `folder` holds something, or the log has too few rows to be split.
    """
    if log.rows < MIN_ROWS:
        raise DataError(f"rows: must be at least {MIN_ROWS}, got {log.rows}")
    if folder.exists() and (not folder.is_dir() or any(not path.name.startswith(DRAFT) for path in folder.iterdir())):
        raise DataError(f"{folder}: must be an empty or a new folder, since old files would be read with the new ones")
    with draft(folder / "log") as new:
        (new / "train").mkdir(parents=True)
        drawn = _write_rows(log, new, on_progress)
        truth = {split: _truth(np.concatenate(parts)) for split, parts in drawn.items()}
        splits = {split: asdict(best) for split, best in truth.items()}
        (new / "truth.json").write_text(json.dumps({**facts, "splits": splits}, indent=2) + "\n")
        (new / "config.yaml").write_text(config)
        (new / "README.md").write_text(about + _truth_table(truth))
        for path in new.iterdir():
            path.rename(folder / path.name)
    return SyntheticLog(folder=folder, config=folder / "config.yaml", truth=truth)


def _write_rows(log: Log, folder: Path, on_progress: OnProgress) -> dict[str, list[npt.NDArray[np.uint32]]]:
    """Write all files; return for each split what `_pack` makes of its rows."""
    drawn: dict[str, list[npt.NDArray[np.uint32]]] = {}
    made = (make_chunk(log, number) for number in range(-(-log.rows // CHUNK_ROWS)))
    with closing(prefetched(made, size=1)) as samples:
        number, sample = 0, next(samples)
        for file in _files(log.rows):
            packed = drawn.setdefault(file.split, [])
            with pq.ParquetWriter(folder / file.path, sample.table.schema) as writer:
                for wanted in range(file.start // CHUNK_ROWS, -(-file.stop // CHUNK_ROWS)):
                    if wanted != number:
                        number, sample = wanted, next(samples)
                    first = wanted * CHUNK_ROWS
                    rows = slice(max(file.start - first, 0), min(file.stop - first, CHUNK_ROWS))
                    table = sample.table[rows]
                    writer.write_table(table)
                    packed.append(_pack(sample.probability[rows], table["clicked"].to_numpy()))
                    on_progress("make", first + rows.stop, log.rows)
    return drawn


def _files(rows: int) -> Iterator[_File]:
    num_test = num_valid = rows // 10
    num_train = rows - num_valid - num_test
    part_rows = min(PART_ROWS, -(-num_train // 4))
    for part, start in enumerate(range(0, num_train, part_rows)):
        yield _File(f"train/part-{part:05}.parquet", "train", start, min(start + part_rows, num_train))
    yield _File("valid.parquet", "valid", num_train, num_train + num_valid)
    yield _File("test.parquet", "test", rows - num_test, rows)


def _pack(probability: npt.NDArray[np.float32], clicked: npt.NDArray[Any]) -> npt.NDArray[np.uint32]:
    """Put probability and label into 4 bytes that sort by probability: floats in [0, 1] sort as their bits do."""
    bits: npt.NDArray[np.uint32] = probability.view(np.uint32)
    packed: npt.NDArray[np.uint32] = (bits << np.uint32(1)) | clicked.astype(np.uint32)
    return packed


def _truth(packed: npt.NDArray[np.uint32]) -> Truth:
    packed.sort()
    probability = (packed >> 1).view(np.float32).astype(np.float64)
    clicked = (packed & 1).astype(np.float64)
    likelihood = np.where(clicked == 1, probability, 1 - probability)
    return Truth(
        num_rows=len(packed),
        click_rate=float(clicked.mean()),
        auc=_sorted_auc(probability, clicked),
        expected_auc=_sorted_auc(probability, probability),
        logloss=float(-np.log(likelihood).mean()),
    )


def _sorted_auc(score: Floats, positive: Floats) -> float:
    """Return the AUC of ascending scores of rows that count as `positive` (0 to 1) clicks; ties count half."""
    starts = np.flatnonzero(np.diff(score, prepend=-1.0))
    positives = np.add.reduceat(positive, starts)
    negatives = np.add.reduceat(1 - positive, starts)
    below = negatives.cumsum() - negatives / 2
    return float((positives * below).sum() / (positives.sum() * negatives.sum()))


def _truth_table(truth: Mapping[str, Truth]) -> str:
    lines = [
        "\n## The best possible model\n",
        "Computed from the true click probability of each row; no model can do better on average.\n",
        "| split | rows | click rate | AUC | logloss |",
        "|---|---|---|---|---|",
    ]
    for split, best in truth.items():
        lines.append(f"| {split} | {best.num_rows:,} | {best.click_rate:.4f} | {best.auc:.4f} | {best.logloss:.4f} |")
    return "\n".join(lines) + "\n"
