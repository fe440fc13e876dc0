"""The calibration of a run: fitted on the validation rows with the best epoch, and kept in the run folder."""

import math
from collections.abc import Mapping

from recsys.calibration import Calibrator
from recsys.checksums import read_json, recording
from recsys.config import Config, ResolvedConfig
from recsys.errors import DataError
from recsys.evaluation.metrics import METRICS, metric_label
from recsys.features.fingerprint import NULL_KEY
from recsys.files import write_json
from recsys.run_folder import RunFolder
from recsys.training.scoring import Scores
from recsys.units import format_count

__all__ = ["BEFORE", "describe_calibration", "describe_values", "fit_calibrator", "read_calibrator", "write_calibrator"]

BEFORE = "before_calibration."
"""Prefix of the figures of a split before calibration: "before_calibration.test.logloss"."""


def fit_calibrator(resolved: ResolvedConfig, scores: Scores) -> Calibrator:
    """Fit the calibration that the configuration names on the scores of the validation rows.

    Raises:
        ConfigError: A calibration of the user's own gives what is no probability.
    """
    config = resolved.config
    calibrator = Calibrator(config.calibration, list(config.labels))
    is_open = config.calibration.by is not None and resolved.field(config.calibration.by).open
    unknown = NULL_KEY if is_open else 0
    calibrator.fit(scores.probabilities, scores.labels, scores.weights, scores.ids, unknown=unknown)
    return calibrator


def write_calibrator(run: RunFolder, calibrator: Calibrator) -> None:
    """Write what was learned into the folder of the run."""
    with recording(run.calibration):
        write_json(run.calibration, {"method": calibrator.method, "by": calibrator.by or None, **calibrator.fitted()})


def read_calibrator(run: RunFolder, config: Config) -> Calibrator | None:
    """Return what calibrates the probabilities of a run; None if its configuration asks for nothing.

    Raises:
        DataError: The run has not come to its end, or the file is damaged.
    """
    if not config.calibration.is_fitted:
        return None
    if not run.calibration.exists():
        raise DataError(
            f"{run.path}: has no {run.calibration.name}, which is fitted when training has ended: train it to the end "
            f"first (recsys train CONFIG --resume {run.path})"
        )
    remedy = f"delete {run.metrics.name} and the file, and resume the run: it is fitted again"
    calibrator = Calibrator(config.calibration, list(config.labels))
    try:
        calibrator.load(read_json(run.calibration, remedy=remedy))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{run.calibration}: is damaged: it does not fit {run.config.name}; {remedy}") from error
    return calibrator


def describe_calibration(method: str, split: str, metrics: Mapping[str, float]) -> str | None:
    """Return a line with the figures of a split before and after calibration; None if nothing was calibrated.

    >>> metrics = {"before_calibration.test.logloss": 0.5, "test.logloss": 0.25, "test.calibration": 1.0}
    >>> describe_calibration("platt", "test", metrics)
    'calibration platt: test logloss 0.50000 -> 0.25000'
    """
    shown = []
    for name, metric in METRICS.items():
        before, after = metrics.get(f"{BEFORE}{split}.{name}"), metrics.get(f"{split}.{name}")
        if before is not None and after is not None and not metric.needs_group and not _is_same(before, after):
            shown.append(f"{metric_label(name)} {before:.5f} -> {after:.5f}")
    return f"calibration {method}: {split} {', '.join(shown)}" if shown else None


def describe_values(calibrator: Calibrator) -> str | None:
    """Return a line that says how many values have a curve of their own; None if there is one curve for all rows."""
    if not calibrator.by:
        return None
    of = f"calibration {calibrator.method} by {calibrator.by}"
    if not len(calibrator.ids):
        return f"{of}: one curve for all rows; curves of single values do not suit rows that they were not fitted on"
    count = format_count(len(calibrator.ids), "value")
    return f"{of}: curves of {count}, beside the one that all other rows have"


def _is_same(before: float, after: float) -> bool:
    return math.isnan(before) or math.isclose(before, after, rel_tol=1e-9, abs_tol=1e-12)
