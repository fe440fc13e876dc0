"""Metrics of a finished run on files it has not seen."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

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
) -> dict[str, float]:
    """Score files (paths or globs) with the best epoch of a run and return the metrics.

    Raises:
        DataError: no run there, or the files do not hold the columns it was trained on.
    """
    paths = find_files(tuple(data), Path(), "data")
    built = load_run(run, device=pick_device(device))
    tasks = list(built.resolved.config.labels)
    with tempfile.TemporaryDirectory(prefix="recsys-") as scratch:
        scores = score_files(built, paths, Path(scratch) / "rows", on_progress=on_progress)
        if out is not None:
            scores.write(out, tasks)
        return scores.metrics(tasks)
