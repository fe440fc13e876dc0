"""A comparison from beginning to end: prepare the data once, compute sizes, train missing cells, write the report."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

from recsys.config import Config, dump
from recsys.config.seeds import with_fixed_split
from recsys.data.classes import check_splits, missing_classes
from recsys.data.prepare import prepare
from recsys.data.prepared import Prepared
from recsys.environment import environment_record
from recsys.files import write_atomic
from recsys.judging.pareto import can_draw
from recsys.progress import OnProgress, no_progress
from recsys.scheme_benchmark.cell import Job, empty_result
from recsys.scheme_benchmark.comparison import Comparison
from recsys.scheme_benchmark.grid import Cell, make_grid
from recsys.scheme_benchmark.plot import draw
from recsys.scheme_benchmark.report import ReportHeader, report, results_csv
from recsys.scheme_benchmark.result import Result, delete_large_files, read_result, run_folder, write_result
from recsys.scheme_benchmark.variants import choose_variants, parse_budgets
from recsys.scheme_benchmark.workers import run_jobs
from recsys.training.series import check_same_series, series_lock
from recsys.units import format_count

__all__ = ["Outcome", "compare"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a call of `compare`."""

    folder: Path
    trained: int
    """Number of cells that this call trained, or failed to train."""
    failed: list[Result]
    """Failed cells of this call and of earlier ones."""


def compare(
    config: Config,
    *,
    schemes: str,
    budgets: str,
    seeds: int,
    data_dir: Path,
    cache_dir: Path,
    folder: Path,
    processes: int = 1,
    command: str = "",
    on_progress: OnProgress = no_progress,
    log: Callable[[str], None] = print,
) -> Outcome:
    """Train every scheme at every budget with every seed, except the cells that the folder has results of.

    Cells that failed because their process was killed or memory ran out are trained again.

    Args:
        config: the checked configuration; its tables are replaced.
        schemes: "all", or names of variants with commas between them.
        budgets: fractions of the full table or bytes, with commas between them, e.g. "0.1,10MB".
        seeds: number of seeds; the first is `train.seed`.
        data_dir: what the paths in `data` are relative to.
        cache_dir: where prepared data is kept.
        folder: folder of the comparison; one that was started with the same configuration is continued.
        processes: number of cells that are trained at a time.
        command: the command line, for the report.
        on_progress: called as the data is prepared (rows), and with the stage "cells" when a cell ends.
        log: called with one line for each cell.

    Raises:
        ConfigError: a scheme or budget is not valid, or the folder holds something else.
        LockedError: another process is working on the comparison.
        DataError: the data does not fit the configuration, or has changed since the comparison was started.
    """
    variants, sizes = choose_variants(schemes), parse_budgets(budgets)
    config = with_fixed_split(config)
    prepared = prepare(config, data_dir, cache_dir, on_progress)
    check_splits(prepared.splits, prepared.resolved.config)
    grid = make_grid(prepared, variants, sizes, seeds=seeds)
    split = reported_split(prepared)
    with series_lock(folder):
        _check_same_comparison(folder, config, prepared)
        known = {cell.name: read_result(folder, cell.name) for cell in grid.cells()}
        results = {name: result for name, result in known.items() if result is not None and not result.retry}
        comparison = Comparison(folder, grid, results, split=split)
        threads = max(1, environment_record()["cpu"]["cores"] // processes)
        jobs = [
            Job(
                cell=cell,
                config=cell.config(config),
                folder=folder,
                data_dir=data_dir,
                cache_dir=cache_dir,
                split=split,
                valid=prepared.splits["valid"],
                full_bytes=grid.full_bytes,
            )
            for cell in grid.cells()
            if cell.name not in results
        ]
        try:
            run_jobs(jobs, processes=processes, threads=threads, on_end=_CellLog(comparison, on_progress, log).take)
        finally:
            header = _report_header(folder, prepared, split, processes, threads, command)
            write_atomic(folder / "results.csv", results_csv(comparison))
            write_atomic(folder / "report.md", report(comparison, header))
            if can_draw():
                draw(comparison, folder / "pareto.png")
    return Outcome(folder, len(jobs), [result for result in results.values() if result.status == "failed"])


def reported_split(prepared: Prepared) -> str:
    """Return the split whose figures are reported: "test" if it has rows of both classes, else "valid"."""
    test = prepared.splits.get("test")
    if test is None or any(missing_classes(test, prepared.resolved.config)):
        return "valid"
    return "test"


class _CellLog:
    """Takes the results as cells end, and reports progress."""

    def __init__(self, comparison: Comparison, on_progress: OnProgress, log: Callable[[str], None]) -> None:
        self.comparison = comparison
        self.on_progress = on_progress
        self.log = log
        self.num_cells = len(comparison.grid.cells())
        self._report()

    def take(self, job: Job, death: str | None) -> None:
        """Take the result of a cell, or make one from the description of how its process died."""
        if death is not None:
            delete_large_files(run_folder(job.folder, job.cell.name), split=job.split)
            write_result(job.folder, replace(empty_result(job), status="failed", reason=death, retry=True))
        result = read_result(job.folder, job.cell.name)
        assert result is not None, "a worker that answers has written it"
        results = self.comparison.results
        results[job.cell.name] = result
        write_atomic(job.folder / "results.csv", results_csv(self.comparison))
        self.log(f"cell {len(results)} of {self.num_cells}: {describe_result(job.cell, result, self.comparison.split)}")
        self._report()

    def _report(self) -> None:
        self.on_progress("cells", len(self.comparison.results), self.num_cells)


def describe_result(cell: Cell, result: Result, split: str) -> str:
    """Return the figures of a cell in one line."""
    if result.status == "failed":
        return f"{cell.name} failed: {result.reason}"
    return (
        f"{cell.name}: {split} AUC {result.auc:.5f}, logloss {result.logloss:.5f}, {result.serving_bytes:,} bytes, "
        f"{result.seconds:,.0f} s"
    )


def _check_same_comparison(folder: Path, config: Config, prepared: Prepared) -> None:
    """Start a folder, or refuse one whose cells were trained with another configuration or on other data."""
    check_same_series(
        folder / "comparison.json",
        {"config": dump(config.replaced(tables={}))},
        prepared,
        kind="a comparison",
        reason=", so new cells could not be compared with its own",
        remedy="name a new folder with --out",
    )


def _report_header(
    folder: Path, prepared: Prepared, split: str, processes: int, threads: int, command: str
) -> ReportHeader:
    machine = environment_record()
    cpu, rows = machine["cpu"], prepared.splits["valid" if split == "valid" else "test"]
    positives = fmean(rows.positives.values())
    devices = "".join(f", {gpu}" for gpu in machine["gpus"])
    config = prepared.resolved.config
    return ReportHeader(
        title=folder.name,
        data=f"the {split} split ({rows.num_rows:,} rows, {positives:,.0f} positive)",
        model=f"{config.model.tower}, dim {config.model.dim}, batches of {config.train.batch_size:,} rows",
        machine=f"{cpu['model']}, {cpu['cores']} cores, {cpu['memory_bytes'] / 1e9:.0f} GB{devices}; "
        f"{format_count(processes, 'process', 'processes')} of {format_count(threads, 'thread')}",
        command=command,
    )
