"""Metrics of a finished run on files it has not seen."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from recsys.config import DataSection
from recsys.progress import OnProgress, no_progress
from recsys.sources.source import find_files
from recsys.training.build import load_run, score_files
from recsys.training.strategy import pick_device

__all__ = ["evaluate_files"]


def evaluate_files(
    run: Path,
    data: Sequence[str],
    *,
    out: Path | None = None,
    device: str | None = None,
    on_progress: OnProgress = no_progress,
    section: DataSection | None = None,
) -> dict[str, float]:
    """Score files (paths or globs) with the best epoch of a run and return the metrics.

    Args:
        run: the run's folder.
        data: paths or globs.
        out: parquet file for label, score, weight and group of each row.
        device: "cpu" or "cuda"; by default cuda where there is one.
        on_progress: called with (stage, rows done, rows in all if known).
        section: how to read the files (format, separator, header); by default as in training.

    Raises:
        DataError: no run there, or the files do not hold the columns it was trained on.
    """
    paths = find_files(tuple(data), Path(), "data")
    built = load_run(run, device=pick_device(device))
    tasks = list(built.resolved.config.labels)
    with tempfile.TemporaryDirectory(prefix="recsys-") as scratch:
        scores = score_files(built, paths, Path(scratch) / "rows", data=section, on_progress=on_progress)
        if out is not None:
            scores.write(out, tasks)
        return scores.metrics(tasks)
