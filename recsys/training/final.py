"""The end of a run: the best epoch is calibrated on the validation rows, and scores the splits."""

from collections.abc import Callable, Sequence

from recsys.calibration import Calibrator
from recsys.checksums import recording
from recsys.data.prepared import Prepared
from recsys.data.splits import SplitName
from recsys.progress import OnProgress
from recsys.run_folder import RunFolder
from recsys.training.build import LoadedModel, score_split
from recsys.training.calibrate import (
    BEFORE,
    describe_calibration,
    describe_values,
    fit_calibrator,
    write_calibrator,
)
from recsys.training.scoring import Scores

__all__ = ["evaluate_best"]


def evaluate_best(
    loaded: LoadedModel,
    prepared: Prepared,
    run: RunFolder,
    evaluated: Sequence[SplitName],
    on_progress: OnProgress,
    log: Callable[[str], None],
) -> dict[str, float]:
    """Score splits, calibrated, and write the predictions; every rank must call it.

    Args:
        loaded: The model of the best epoch.
        prepared: The prepared splits; the calibration is fitted on "valid" whether it is evaluated or not.
        run: The folder of the run.
        evaluated: Splits that are scored; those without rows are left out.
        on_progress: Called as rows are scored.
        log: Called with a line for each split that says what calibration has changed.

    Returns:
        The figures of each split, "test.auc", and "before_calibration.test.auc" if they are calibrated; {} on other
        ranks than 0.
    """
    config = loaded.resolved.config
    metrics: dict[str, float] = {}
    valid, calibrator = None, None
    if config.calibration.is_fitted:
        valid = score_split(loaded, prepared.splits["valid"], on_progress=on_progress)
        if valid is not None:
            calibrator = fit_calibrator(loaded.resolved, valid)
            write_calibrator(run, calibrator)
            if line := describe_values(calibrator):
                log(line)
    for split in evaluated:
        if split not in prepared.splits or not prepared.splits[split].num_rows:
            continue
        is_scored = split == "valid" and config.calibration.is_fitted
        scores = valid if is_scored else score_split(loaded, prepared.splits[split], on_progress=on_progress)
        if scores is not None:
            metrics |= _record(scores, run, split, list(config.labels), calibrator)
            if line := describe_calibration(config.calibration.method, split, metrics):
                log(line)
    return metrics


def _record(
    scores: Scores, run: RunFolder, split: SplitName, tasks: list[str], calibrator: Calibrator | None
) -> dict[str, float]:
    """Write the predictions of a split and return its figures."""
    before: dict[str, float] = {}
    if calibrator is not None:
        before = {f"{BEFORE}{split}.{name}": value for name, value in scores.metrics(tasks).items()}
        scores = scores.calibrated(calibrator)
    path = run.predictions(split)
    path.parent.mkdir(exist_ok=True)
    with recording(path):
        scores.write(path, tasks)
    return {f"{split}.{name}": value for name, value in scores.metrics(tasks).items()} | before
