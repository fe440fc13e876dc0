"""`recsys evaluate`: what is evaluated, a run's own rows, files that it scores, or a file of scores."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from recsys.api.quiet import quiet_packages
from recsys.api.run import Run
from recsys.console import log
from recsys.errors import DataError
from recsys.progress import OnProgress
from recsys.serving.output import check_output
from recsys.sources.find_files import find_files

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Scores", "evaluate_target"]


class Scores(NamedTuple):
    """Columns of a file of scores."""

    label: str = "label"
    score: str = "score"
    weight: str = "weight"
    group: str = "group"


def evaluate_target(
    target: Path,
    data: Sequence[str],
    *,
    by: Sequence[str],
    split: Literal["test", "valid"],
    data_dir: Path | None,
    columns: Scores,
    out: Path | None,
    device: Literal["cpu", "cuda"] | None,
    on_progress: OnProgress,
) -> "tuple[dict[str, float], pl.DataFrame | None]":
    """Return the metrics, and the slices if there are columns to slice by.

    Raises:
        DataError: options do not go together, or what they name cannot be evaluated.
    """
    if target.is_file():
        _refuse(target, {"files to score": data, "--data-dir": data_dir, "--out": out})
        from recsys.judging.evaluated import evaluate_scores

        found = evaluate_scores(target, by=by, **columns._asdict(), on_progress=on_progress)
        return found.metrics, found.slices
    if target.suffix == ".parquet" and not target.exists():
        raise DataError(f"{target}: there is no such file")
    changed = [f"--{name}" for name, value in columns._asdict().items() if value != Scores._field_defaults[name]]
    if changed:
        raise DataError(f"{', '.join(changed)}: only for a file of scores, but {target} is none")
    run = Run(target)
    if data and not by:
        return run.evaluate(data, out=out, device=device, on_progress=on_progress, log=log), None
    with quiet_packages():
        from recsys.judging.evaluated import evaluate_run_files, evaluate_split

        if data:
            if out is not None:
                check_output(out, find_files(tuple(data), Path(), "data"))
            found = evaluate_run_files(target, data, by=by, out=out, device=device, on_progress=on_progress, log=log)
        else:
            _refuse(target, {"--out": out}, "its own predictions are in its folder; name files to score")
            found = evaluate_split(target, split=split, by=by, data_dir=data_dir, on_progress=on_progress)
    return found.metrics, found.slices


def _refuse(target: Path, options: dict[str, object], reason: str = "it is a file of scores, and no run") -> None:
    given = [name for name, value in options.items() if value]
    if given:
        raise DataError(f"{target}: takes no {', '.join(given)}: {reason}")
