"""`recsys evaluate`: what is evaluated, a run's own rows, files that it scores, or a file of scores."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from recsys.api.quiet import quiet_packages
from recsys.console import log
from recsys.errors import DataError
from recsys.evaluation.predictions import ScoreColumns
from recsys.progress import OnProgress
from recsys.run_folder import RunFolder
from recsys.serving.output import check_output
from recsys.sources.find_files import find_files

if TYPE_CHECKING:
    from recsys.judging.evaluated import Evaluated

__all__ = ["evaluate_target"]


def evaluate_target(
    target: Path,
    data: Sequence[str],
    *,
    by: Sequence[str],
    is_for_report: bool,
    split: Literal["test", "valid"],
    data_dir: Path | None,
    columns: ScoreColumns,
    out: Path | None,
    device: Literal["cpu", "cuda"] | None,
    on_progress: OnProgress,
) -> "Evaluated":
    """Return the predictions and the metrics, and the slices if there are columns to slice by.

    A report slices a run by the columns of its own features if the user names none, as far as its files are there.

    Raises:
        DataError: options do not go together, or what they name cannot be evaluated.
    """
    if target.is_file():
        _refuse(target, {"files to score": data, "--data-dir": data_dir, "--out": out})
        from recsys.judging.evaluated import evaluate_scores

        return evaluate_scores(target, by=by, columns=columns, on_progress=on_progress)
    if target.suffix == ".parquet" and not target.exists():
        raise DataError(f"{target}: there is no such file")
    changed = [f"--{name}" for name, value in columns._asdict().items() if value != ScoreColumns._field_defaults[name]]
    if changed:
        raise DataError(f"{', '.join(changed)}: only for a file of scores, but {target} is none")
    if data and out is not None:
        check_output(out, find_files(tuple(data), Path(), "data"))
    if not data:
        _refuse(target, {"--out": out}, "its own predictions are in its folder; name files to score")

    def evaluated(by: Sequence[str]) -> "Evaluated":
        from recsys.judging.evaluated import evaluate_run_files, evaluate_split

        if data:
            return evaluate_run_files(target, data, by=by, out=out, device=device, on_progress=on_progress, log=log)
        return evaluate_split(target, split=split, by=by, data_dir=data_dir, on_progress=on_progress)

    with quiet_packages():
        if is_for_report and not by:
            return _with_default_slices(target, evaluated)
        return evaluated(by)


def _with_default_slices(run: Path, evaluated: "Callable[[Sequence[str]], Evaluated]") -> "Evaluated":
    from recsys.judging.raw_columns import feature_columns

    folder = RunFolder(run)
    folder.require_run()
    try:
        return evaluated(feature_columns(folder))
    except DataError as error:
        found = evaluated([])
        log(f"the report has no slices: {error}")
        return found


def _refuse(target: Path, options: dict[str, object], reason: str = "it is a file of scores, and no run") -> None:
    given = [name for name, value in options.items() if value]
    if given:
        raise DataError(f"{target}: takes no {', '.join(given)}: {reason}")
