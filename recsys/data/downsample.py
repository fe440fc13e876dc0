"""Training without most negatives: most rows of a click log teach little, for the same has been seen a thousand times.

Only the training split loses rows; `Downsampled` in `splits.py` says which. A model of what is left predicts odds that
are 1 / rate times too high, so that the log of the rate is added to its logits: `recsys/calibration/link.py`.

He et al., "Practical Lessons from Predicting Clicks on Ads at Facebook", 2014, section 6.3.
"""

import polars as pl

from recsys.config.run import Config
from recsys.data.prepared import PreparedSplit
from recsys.data.splits import LEFT_OUT, Numbered

__all__ = ["describe_rows_left", "leave_out", "mean_weight_of_all"]


def leave_out(raw: pl.DataFrame, numbers: Numbered | None) -> tuple[pl.DataFrame, Numbered | None]:
    """Return the rows of a chunk that go to a split.

    Args:
        raw: raw rows.
        numbers: (rows,) what a cut says of them.
    """
    if numbers is None or not (numbers == LEFT_OUT).any():
        return raw, numbers
    is_kept = numbers != LEFT_OUT
    return raw.filter(pl.Series(is_kept)), numbers[is_kept]


def mean_weight_of_all(train: PreparedSplit, rate: float) -> float:
    """Return the mean weight of the training rows that are left if a negative counts for those that are not, too."""
    (task,) = train.positives
    positives = train.positives[task]
    positive, negative = train.weights.get(task, (positives, train.num_rows - positives))
    return (positive + negative / rate) / max(train.num_rows, 1)


def describe_rows_left(config: Config, num_rows: int, left_out: int, of: str = "training rows") -> str:
    """Return a line on how many rows are left.

    >>> data = {"negative_rate": 0.1}
    >>> config = Config.model_validate({"label": "y", "features": {"a": {"type": "id"}}, "data": data})
    >>> describe_rows_left(config, 1500, 8500)
    'data.negative_rate 0.1 leaves 1,500 of 10,000 training rows, without 8,500 negatives'
    """
    rate, total = config.data.negative_rate, num_rows + left_out
    return f"data.negative_rate {rate:g} leaves {num_rows:,} of {total:,} {of}, without {left_out:,} negatives"
