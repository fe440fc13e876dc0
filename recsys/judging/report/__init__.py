"""The report: one HTML page that needs no network and no script, beside the figures as JSON and the slices as CSV."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from recsys.errors import DataError
from recsys.files import write_atomic, write_json
from recsys.judging.pareto import can_draw
from recsys.judging.report.judged import Compared, Judged

__all__ = ["Compared", "Judged", "write_report"]


def write_report(
    folder: Path,
    runs: Sequence[Judged],
    *,
    compared: Sequence[Compared] = (),
    means: Mapping[str, Mapping[str, float]] | None = None,
) -> Path:
    """Write report.html, metrics.json and, if there are slices, slices.csv.

    Equal runs make equal files.

    Args:
        folder: is made if need be; files of these names in it are replaced.
        runs: at least one, names unique; several stand side by side.
        compared: differences between them, the one that decides first.
        means: figures of models, means over their seeds, by the name of the model.

    Returns:
        The path of the page.

    Raises:
        DataError: matplotlib is not installed.
    """
    from recsys.judging.report.page import page

    if not can_draw():
        raise DataError("--report draws its pictures with matplotlib: pip install 'recsys[plots]'")
    text = page(runs, compared, means or {})
    write_json(folder / "metrics.json", _metrics(runs))
    _write_slices(folder / "slices.csv", runs, compared)
    write_atomic(folder / "report.html", text)
    return folder / "report.html"


def _metrics(runs: Sequence[Judged]) -> dict[str, object]:
    """Return the figures as one object: of one run by their names, of several by the names of the runs."""
    if len(runs) == 1:
        return dict(runs[0].metrics)
    return {run.name: dict(run.metrics) for run in runs}


def _write_slices(path: Path, runs: Sequence[Judged], compared: Sequence[Compared]) -> None:
    """Write the slices of each run, and of each difference as "A minus B"; no file if there are none."""
    import polars as pl

    path.unlink(missing_ok=True)  # of a former report
    named = [(run.name, run.slices) for run in runs]
    named += [(f"{one.first} minus {one.second}", one.slices) for one in compared]
    frames = [frame.select(pl.lit(name).alias("run"), pl.all()) for name, frame in named if frame is not None]
    if frames:
        write_atomic(path, pl.concat(frames, how="diagonal_relaxed").write_csv())
