"""The difference between two models from their files of predictions, rows and tasks paired."""

from math import erfc, isnan, sqrt
from statistics import fmean
from typing import TYPE_CHECKING

import numpy as np

from recsys.evaluation.intervals import Z95, Difference, auc_difference

if TYPE_CHECKING:
    import polars as pl

__all__ = ["predictions_difference", "standard_error"]


def predictions_difference(first: "pl.DataFrame", second: "pl.DataFrame") -> Difference | None:
    """Return the AUC of one model minus that of another, by DeLong's paired test.

    With several tasks, it is the mean difference, and its standard error is the mean one, an upper bound for a mean
    over tasks.

    Args:
        first: predictions of one model: label and score of each row, as training writes them.
        second: those of the other model for the same rows.

    Returns:
        None if DeLong's method does not apply: weighted rows, labels between 0 and 1, fewer than two rows of a class.
    """
    if "weight" in first.columns:
        return None
    found = []
    for label in (column for column in first.columns if column.startswith("label")):
        labels = first[label].to_numpy()
        if not np.isin(labels, (0, 1)).all():
            return None
        score = label.replace("label", "score", 1)
        found.append(auc_difference(first[score].to_numpy(), second[score].to_numpy(), labels))
    error = fmean(map(standard_error, found))
    if isnan(error):
        return None
    return found[0] if len(found) == 1 else _normal(fmean(one.value for one in found), error)


def standard_error(found: Difference) -> float:
    """Return the standard error of an interval; intervals are cut at 1 and -1, which differences here do not reach."""
    return (found.high - found.low) / 2 / Z95


def _normal(difference: float, error: float) -> Difference:
    p_value = erfc(abs(difference) / error / sqrt(2)) if error > 0 else float(difference == 0)
    return Difference(difference, difference - Z95 * error, difference + Z95 * error, p_value)
