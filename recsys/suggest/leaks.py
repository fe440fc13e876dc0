"""Find columns that rank the labels almost perfectly alone, since they know the answer."""

from collections.abc import Iterable

import polars as pl

from recsys.features.values import BadColumn, BadValue, to_numbers

__all__ = ["single_column_auc"]


def single_column_auc(frame: pl.DataFrame, label: str, columns: Iterable[str]) -> dict[str, float]:
    """Return the AUC of each column: of its values where they are numbers, and of their mean labels.

    Mean labels are learned on every second row and judged on the others, so that rare values gain nothing. The one of
    the two further away from 0.5 counts. Lists are left out, and nothing is found without labels of both classes.
    """
    clicks = _numbers(frame[label])
    if clicks is None or clicks.n_unique() < 2:
        return {}
    found = {}
    for name in columns:
        values = frame[name]
        if name == label or values.dtype.is_nested():
            continue
        both = (_auc_of_means(values, clicks), _auc_of_numbers(values, clicks))
        known = [one for one in both if one is not None]
        if known:
            found[name] = max(known, key=lambda one: abs(one - 0.5))
    return found


def _auc_of_numbers(values: pl.Series, clicks: pl.Series) -> float | None:
    numbers = _numbers(values)
    return None if numbers is None else _auc(numbers.fill_null(float("nan")), clicks)


def _numbers(values: pl.Series) -> pl.Series | None:
    try:
        return to_numbers(values)
    except (BadColumn, BadValue):
        return None


def _auc_of_means(values: pl.Series, clicks: pl.Series) -> float | None:
    both = pl.DataFrame({"value": values, "click": clicks})
    learnt = both.gather_every(2).group_by("value").agg(pl.col("click").mean().alias("mean"))
    judged = both.gather_every(2, offset=1).join(learnt, on="value", how="left", nulls_equal=True)
    found = _auc(judged["mean"].fill_null(both["click"].mean()), judged["click"])
    return None if found is None else max(found, 0.5)  # below is chance


def _auc(score: pl.Series, clicks: pl.Series) -> float | None:
    """Return the share of pairs in order, ties counting half, from average ranks."""
    is_positive = clicks == 1
    positives, negatives = int(is_positive.sum()), int((~is_positive).sum())
    if positives == 0 or negatives == 0:
        return None
    ranks = score.rank("average").filter(is_positive)
    return (float(ranks.sum()) - positives * (positives + 1) / 2) / (positives * negatives)
