"""The report: one HTML page that needs no network and no script, beside the figures as JSON and the slices as CSV."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from recsys.errors import DataError
from recsys.files import to_json, write_together
from recsys.judging.pareto import can_draw
from recsys.judging.report.judged import Compared, Judged

__all__ = ["Compared", "Judged", "check_report", "write_report"]


def check_report(folder: Path) -> None:
    """Say what stands in the way of a report, before anything is computed for it.

    Raises:
        DataError: matplotlib is not installed, or the folder is a file.
    """
    if not can_draw():
        raise DataError("--report draws its pictures with matplotlib: pip install 'recsys[plots]'")
    if folder.exists() and not folder.is_dir():
        raise DataError(f"{folder}: must be a folder for the report, but is a file")


def write_report(
    folder: Path,
    runs: Sequence[Judged],
    *,
    compared: Sequence[Compared] = (),
    means: Mapping[str, Mapping[str, float]] | None = None,
) -> Path:
    """Write report.html, metrics.json and, if there are slices, slices.csv: all of them, or none.

    Equal runs make equal files.

    Args:
        folder: is made if need be; files of these names in it are replaced.
        runs: at least one, names unique; several stand side by side.
        compared: differences between them, the one that decides first.
        means: figures of models, means over their seeds, by the name of the model.

    Returns:
        The path of the page.

    Raises:
        DataError: matplotlib is not installed, or the folder is a file.
    """
    from recsys.judging.report.page import page

    check_report(folder)
    slices = _slices(runs, compared)
    path = folder / "report.html"
    texts = {path: page(runs, compared, means or {}), folder / "metrics.json": to_json(_metrics(runs), indent=2) + "\n"}
    write_together(texts | ({folder / "slices.csv": slices} if slices else {}))
    if not slices:
        (folder / "slices.csv").unlink(missing_ok=True)  # of a former report
    return path


def _metrics(runs: Sequence[Judged]) -> dict[str, object]:
    """Return the figures as one object: of one run by their names, of several by the names of the runs."""
    if len(runs) == 1:
        return dict(runs[0].metrics)
    return {run.name: dict(run.metrics) for run in runs}


def _slices(runs: Sequence[Judged], compared: Sequence[Compared]) -> str:
    """Return the slices of each run, and of each difference as "A minus B", as CSV; "" if there are none."""
    import polars as pl

    named = [(run.name, run.slices) for run in runs]
    named += [(f"{one.first} minus {one.second}", one.slices) for one in compared]
    frames = [frame.select(pl.lit(name).alias("run"), pl.all()) for name, frame in named if frame is not None]
    return pl.concat(frames, how="diagonal_relaxed").write_csv() if frames else ""
