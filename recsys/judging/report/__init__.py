"""The report: one HTML page that needs no network and no script, beside the figures as JSON and the slices as CSV."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from recsys.errors import DataError
from recsys.files import write_atomic, write_json
from recsys.judging.pareto import can_draw
from recsys.judging.report.judged import Compared, Judged

if TYPE_CHECKING:
    import polars as pl

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
    slices = [_named(run) for run in runs if run.slices is not None]
    if slices:
        import polars as pl

        write_atomic(folder / "slices.csv", pl.concat(slices, how="diagonal_relaxed").write_csv())
    write_atomic(folder / "report.html", text)
    return folder / "report.html"


def _metrics(runs: Sequence[Judged]) -> dict[str, object]:
    """Return the figures as one object: of one run by their names, of several by the names of the runs."""
    if len(runs) == 1:
        return dict(runs[0].metrics)
    return {run.name: dict(run.metrics) for run in runs}


def _named(run: Judged) -> "pl.DataFrame":
    import polars as pl

    assert run.slices is not None
    return run.slices.select(pl.lit(run.name).alias("run"), pl.all())
