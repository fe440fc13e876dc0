"""All metrics of a run at once, from whole arrays or batch by batch."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from recsys.evaluation.probability import calibration, logloss, normalised_entropy
from recsys.evaluation.ranking import auc, gauc

__all__ = ["Accumulator", "Predictions", "evaluate"]


def evaluate(
    probability: npt.ArrayLike,
    label: npt.ArrayLike,
    weight: npt.ArrayLike | None = None,
    group: npt.ArrayLike | None = None,
) -> dict[str, float]:
    """Return the metrics that a run reports.

    Args:
        probability: (B,) predictions between 0 and 1.
        label: (B,) between 0 and 1, usually 0 or 1.
        weight: (B,) row weights, used by every metric; `rows` and `positives` are counts all the same.
        group: (B,) for GAUC.

    Returns:
        auc, logloss, ne, calibration, rows and positives; with groups also gauc, gauc_groups (groups with both
        classes) and gauc_skipped (groups with one). A metric that the data do not define is NaN.

    Raises:
        ValueError: as for `auc` and `logloss`.
    """
    metrics = {
        "auc": auc(probability, label, weight),
        "logloss": logloss(probability, label, weight),
        "ne": normalised_entropy(probability, label, weight),
        "calibration": calibration(probability, label, weight),
        "rows": float(len(np.asarray(label))),
        "positives": float(np.sum(label, dtype=np.float64)),
    }
    if group is not None:
        grouped = gauc(probability, label, group, weight)
        metrics["gauc"] = grouped.value
        metrics["gauc_groups"] = float(grouped.groups_used)
        metrics["gauc_skipped"] = float(grouped.groups_skipped)
    return metrics


class Predictions(NamedTuple):
    """What was predicted for B rows, and what was true; each array is (B,)."""

    probability: npt.NDArray[Any]
    label: npt.NDArray[Any]
    weight: npt.NDArray[Any] | None
    group: npt.NDArray[Any] | None

    def metrics(self) -> dict[str, float]:
        """Return `evaluate` of these rows."""
        return evaluate(*self)


class Accumulator:
    """Collects the predictions of one task batch by batch; the metrics are exact because every row is kept.

    Example:
        >>> seen = Accumulator()
        >>> seen.add([0.1, 0.4], [0, 1])
        >>> seen.add([0.3], [1])
        >>> seen.predictions().metrics()["auc"]
        1.0
    """

    def __init__(self) -> None:
        self._batches: list[Predictions] = []

    def add(
        self,
        probability: npt.ArrayLike,
        label: npt.ArrayLike,
        weight: npt.ArrayLike | None = None,
        group: npt.ArrayLike | None = None,
    ) -> None:
        """Copy one batch; all batches must agree in whether they have weights and groups.

        Raises:
            ValueError: a batch has weights or groups and the first one has not, or the other way round.
        """
        batch = Predictions(np.array(probability), np.array(label), _copy(weight), _copy(group))
        for name, now, first in zip(batch._fields, batch, self._batches[0] if self._batches else batch, strict=True):
            if (now is None) != (first is None):
                at = len(self._batches)
                raise ValueError(f"{name}: must be given with every batch or with none, batch {at} differs")
        self._batches.append(batch)

    def predictions(self) -> Predictions:
        """Return all rows so far, in the order they came."""
        if not self._batches:
            return Predictions(np.empty(0), np.empty(0), None, None)
        return Predictions(
            np.concatenate([batch.probability for batch in self._batches]),
            np.concatenate([batch.label for batch in self._batches]),
            _join([batch.weight for batch in self._batches]),
            _join([batch.group for batch in self._batches]),
        )


def _copy(values: npt.ArrayLike | None) -> npt.NDArray[Any] | None:
    return None if values is None else np.array(values)


def _join(parts: list[npt.NDArray[Any] | None]) -> npt.NDArray[Any] | None:
    """Concatenate; `Accumulator.add` has seen to it that all parts are there, or none."""
    present = [part for part in parts if part is not None]
    return np.concatenate(present) if present else None
