"""One cell: train, measure, delete large files, write the result. Runs in a process of its own."""

import gc
import traceback
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from recsys.config import Config
from recsys.data.prepare import prepare
from recsys.data.prepared import PreparedSplit
from recsys.errors import RecsysError
from recsys.evaluation.metrics import headlines
from recsys.reasons import user_message
from recsys.scheme_benchmark.grid import Cell, SearchedTables
from recsys.scheme_benchmark.latency import lookup_ms
from recsys.scheme_benchmark.result import Result, delete_large_files, run_folder, write_result
from recsys.scheme_benchmark.searched import find_tables
from recsys.training.series import train_to_end

__all__ = ["Job", "empty_result", "run_cell"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """Everything that a worker needs to train a cell."""

    cell: Cell
    config: Config
    """The configuration with the table and the seed of the cell."""
    folder: Path
    """Folder of the comparison."""
    data_dir: Path
    cache_dir: Path
    split: str
    """The split whose figures are reported."""
    valid: PreparedSplit
    """The split on whose first rows the lookup time is measured."""
    full_bytes: int | None


def run_cell(job: Job) -> None:
    """Train a cell, or resume it, and write its result; a failure is a result too.

    Raises:
        OSError: the system refuses something, as it would to all cells; this one has no result.
    """
    run = run_folder(job.folder, job.cell.name)
    try:
        result = train_cell(job, run)
    except Exception as error:
        if isinstance(error, OSError) and user_message(error) is not None:
            raise
        traceback.print_exc()
        result = replace(
            empty_result(job), status="failed", reason=describe_error(error), retry=is_out_of_memory(error)
        )
    delete_large_files(run, split=job.split)
    write_result(job.folder, result)
    gc.collect()  # reference cycles would keep the tables of this cell in memory beside those of the next one


def train_cell(job: Job, run: Path) -> Result:
    """Train a cell, or resume it, and return its figures."""
    config = _config(job, run)
    metrics = train_to_end(config, run, data_dir=job.data_dir, cache_dir=job.cache_dir, log=print)
    gc.collect()
    # A search may prune ids and leave features out: its rows are others.
    is_found = config is not job.config
    valid = prepare(config, job.data_dir, job.cache_dir).splits["valid"] if is_found else job.valid
    return replace(
        empty_result(job),
        auc=metrics[f"{job.split}.auc"],
        auc_low=metrics.get(f"{job.split}.auc_low"),
        auc_high=metrics.get(f"{job.split}.auc_high"),
        logloss=metrics[f"{job.split}.logloss"],
        other_metrics=_other_metrics(metrics, f"{job.split}."),
        best_epoch=int(metrics["best_epoch"]),
        epochs=int(metrics["epochs"]),
        training_bytes=int(metrics["embedding_bytes.training"]),
        checkpoint_bytes=int(metrics["embedding_bytes.checkpoint"]),
        serving_bytes=int(metrics["embedding_bytes.serving"]),
        rows_per_second=metrics["rows_per_second"],
        seconds=metrics["seconds"],
        lookup_ms=lookup_ms(run, valid),
    )


def _config(job: Job, run: Path) -> Config:
    """Return the configuration to train, which a search has to find first if the cell asks for one."""
    cell = job.cell
    if not isinstance(cell.spec, SearchedTables):
        return job.config
    return find_tables(
        job.config,
        cell.spec,
        folder=job.folder / "searches" / f"{cell.spec.method}-seed-{cell.seed}",
        target=run.parent / "tables.yaml",
        data_dir=job.data_dir,
        cache_dir=job.cache_dir,
    )


def _other_metrics(metrics: dict[str, float], prefix: str) -> dict[str, float]:
    """Return the metrics that reports show, except those that have a field of their own."""
    return {name: value for name, value in headlines(metrics, prefix).items() if name not in ("auc", "logloss")}


def empty_result(job: Job) -> Result:
    """Return a result without figures."""
    cell = job.cell
    return Result(
        cell=cell.name,
        scheme=cell.variant,
        size_param=cell.size_param,
        size_value=cell.size_value,
        seed=cell.seed,
        full_bytes=job.full_bytes,
    )


def describe_error(error: Exception) -> str:
    """Return in one line why a cell failed."""
    text = " ".join(str(error).split("\n")[0].split())
    if is_out_of_memory(error):
        return f"out of memory: {text}".removesuffix(": ")
    return text if isinstance(error, RecsysError) else f"{type(error).__name__}: {text}"


def is_out_of_memory(error: Exception) -> bool:
    """Return whether a cell failed for want of memory, of which another time may have more."""
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or "can't allocate memory" in str(error)
