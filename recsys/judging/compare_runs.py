"""Models compared on the same rows: their figures, the verdict on each pair, and what would tell those that are close.

Dimension key: B rows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from math import isnan

from recsys.errors import ConfigError
from recsys.evaluation.metrics import METRICS
from recsys.evaluation.paired import Figure, comparable_metrics, difference_of, figure_of
from recsys.evaluation.ties import shared_orders
from recsys.evaluation.verdict import Verdict, holm, verdict
from recsys.judging.contenders import Contender
from recsys.registry import did_you_mean

__all__ = ["Comparison", "Pair", "compare_contenders"]


@dataclass(frozen=True, slots=True)
class Pair:
    """Two models, the one with the better figure first."""

    first: str
    second: str
    verdicts: Mapping[str, Verdict]
    """One for each metric: the first model minus the second."""


@dataclass(frozen=True, eq=False)
class Comparison:
    """The figures of several models, and the verdicts on their pairs."""

    contenders: Sequence[Contender]
    """The best first."""
    figures: Mapping[str, Mapping[str, Figure]]
    """The metrics, and of each the figure of every model by its name."""
    pairs: Sequence[Pair]
    """All pairs, those of the best model first."""
    metric: str
    """The metric that decides."""

    @cached_property
    def num_rows(self) -> int:
        """Number of rows that were compared."""
        return len(next(iter(self.contenders[0].seeds[0].values())))

    @property
    def best(self) -> Contender:
        """The model with the best figure, whether or not that is chance."""
        return self.contenders[0]

    @property
    def verdict(self) -> Verdict:
        """The verdict on the best model and the next one."""
        return self.pairs[0].verdicts[self.metric]

    def pair(self, first: str, second: str) -> Pair:
        """Return the pair of two models, in either order.

        Raises:
            KeyError: one of them was not compared.
        """
        for pair in self.pairs:
            if {pair.first, pair.second} == {first, second}:
                return pair
        raise KeyError(first)


def compare_contenders(contenders: Sequence[Contender], *, metric: str = "auc") -> Comparison:
    """Compare several models on the same rows.

    Of several pairs, the p values are corrected by Holm's method, for each metric.

    Args:
        contenders: at least two, whose rows are the same.
        metric: name of the metric that decides which model is best.

    Raises:
        ConfigError: models cannot be compared by this metric.
        DataError: scores are no probabilities.
    """
    every = [seed for contender in contenders for seed in contender.seeds]
    for seed in every:
        for predictions in seed.values():
            predictions.require_probabilities()
    metrics = comparable_metrics(every)
    if metric not in metrics:
        reason = ", since not all have groups" if metric in METRICS and METRICS[metric].needs_group else ""
        raise ConfigError(
            f"metric: must be one of {', '.join(metrics)}{reason}, got {metric!r}{did_you_mean(metric, metrics)}"
        )
    of_models = {one.name: _figures_of(one, metrics) for one in contenders}
    figures = {name: {model: of[name] for model, of in of_models.items()} for name in metrics}
    ranked = sorted(contenders, key=lambda one: _badness(figures[metric][one.name].mean, metric))
    return Comparison(ranked, figures, _pairs(ranked, figures), metric)


def _figures_of(contender: Contender, metrics: Sequence[str]) -> dict[str, Figure]:
    arrays = [array for seed in contender.seeds for one in seed.values() for array in (one.score, one.group)]
    with shared_orders(arrays):
        return {name: figure_of(contender.seeds, name) for name in metrics}


def _badness(value: float, metric: str) -> float:
    return float("inf") if isnan(value) else -value if METRICS[metric].higher_is_better else value


def _pairs(ranked: Sequence[Contender], figures: Mapping[str, Mapping[str, Figure]]) -> list[Pair]:
    pairs = list(combinations(ranked, 2))
    found: dict[str, list[Verdict]] = {}
    for name, of in figures.items():
        differences = [difference_of(of[first.name], of[second.name]) for first, second in pairs]
        corrected = holm([one.p_value for one in differences])
        found[name] = [
            verdict(
                name, difference, rows=_rows(first), seeds=min(len(first.seeds), len(second.seeds)), p_value=p_value
            )
            for (first, second), difference, p_value in zip(pairs, differences, corrected, strict=True)
        ]
    return [
        Pair(first.name, second.name, {name: verdicts[place] for name, verdicts in found.items()})
        for place, (first, second) in enumerate(pairs)
    ]


def _rows(contender: Contender) -> int:
    return len(next(iter(contender.seeds[0].values())))
