"""Metrics of a finished run on other files."""

from collections.abc import Callable, Sequence
from pathlib import Path

from recsys.config import DataSection
from recsys.files import scratch_folder
from recsys.progress import OnProgress, no_log, no_progress
from recsys.sources.find_files import find_files
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
    log: Callable[[str], None] = no_log,
    section: DataSection | None = None,
) -> dict[str, float]:
    """Score files with the best epoch of a run and return the metrics.

    Args:
        run: The folder of the run.
        data: Paths or globs of files with the label column.
        out: New parquet file for label, score, weight and group of each row.
        device: "cpu" or "cuda". Default: CUDA where there is a device.
        on_progress: Called as rows are prepared and scored.
        log: Called with lines about features that have many unknown or missing values.
        section: How to read the files (format, separator, header). Default: as in training.

    Returns:
        The metrics by name, such as {"auc": 0.7831, "logloss": 0.4412, ...}.

    Raises:
        DataError: The folder is not that of a run, or the files do not hold the columns that it was trained on.
    """
    paths = find_files(tuple(data), Path(), "data")
    loaded = load_run(run, device=pick_device(device))
    tasks = list(loaded.resolved.config.labels)
    with scratch_folder() as scratch:
        scores = score_files(loaded, paths, scratch / "rows", data=section, on_progress=on_progress, log=log)
        if out is not None:
            scores.write(out, tasks)
        return scores.metrics(tasks)
