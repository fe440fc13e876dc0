"""All metrics: what everybody asks about one is stated here, once.

An entry is light: the function is named by an import path and imported when it is first called, so that a configuration
can be checked without numpy. A metric that is registered is usable at once in early stopping, LR reduction, the line of
an epoch, metrics.json, `recsys evaluate` and the report of `recsys compare-schemes`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf
from typing import Any

from recsys.errors import ConfigError
from recsys.registry import Registry, did_you_mean, load_object

__all__ = [
    "METRICS",
    "Metric",
    "describe_metrics",
    "epoch_metrics",
    "headlines",
    "is_interval_end",
    "metric_label",
    "register_metric",
    "resolve_metric",
]

NAMES_IN_USE = ("rows", "positives")
"""Figures that stand beside metrics."""
INTERVAL_ENDS = ("low", "high")
"""Last parts of the names of the figures with the interval of a metric: NAME_low, NAME_high."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric of predicted probabilities.

    Args:
        function: Called as `function(probability, label, weight)`, or if `needs_group` as `function(probability, label,
            group, weight)`, with numpy arrays: probability (B,) float64, label (B,) float32, group (B,) int64, weight
            (B,) float32, or None if rows have no weights. Returns the value; or a dict of figures, of which one has the
            metric's name and the others begin with it ("gauc", "gauc_groups"). May be an import path, "module:name".
        higher_is_better: Whether larger values are better; None if neither, so that epochs cannot be compared by it.
        needs_group: Whether it is computed within groups; it is then left out where there is no `group`.
        label: How texts call it. Default: its name.
        is_headline: Whether the line of an epoch, and reports, show it; metrics.json has all metrics.
        influence: Called with the arguments of `function`. Returns (B,) how much each row moves the value: numbers that
            sum to 0, and whose squares sum to the variance of the value; NaN where the rows are too few. The interval
            of the metric, and that of the difference of two models, come from them. None if it has no interval.
        scale: Least and greatest value that the metric can have, where its interval is cut.
        at_epochs: Whether it is computed after each epoch; False for one that is costly, which only the figures of the
            best epoch have.

    Example:
        >>> brier = Metric(lambda p, y, w: float(((p - y) ** 2).mean()), higher_is_better=False)
    """

    function: str | Callable[..., Any]
    higher_is_better: bool | None
    needs_group: bool = False
    label: str = ""
    is_headline: bool = True
    influence: str | Callable[..., Any] | None = None
    scale: tuple[float, float] = (-inf, inf)
    at_epochs: bool = True

    def compute(self, name: str, probability: Any, label: Any, weight: Any, group: Any) -> dict[str, float]:
        """Return the figures of the metric; the first one has its name.

        Raises:
            ValueError: The function returned a dict without the metric's name.
        """
        found = self._call(self.function, name, probability, label, weight, group)
        figures = dict(found) if isinstance(found, Mapping) else {name: found}
        if name not in figures:
            raise ValueError(f"metric {name}: its function must return a number, or a dict with the key {name!r}")
        return {key: float(figures[key]) for key in sorted(figures, key=lambda key: key != name)}

    def compute_influence(self, name: str, probability: Any, label: Any, weight: Any, group: Any) -> Any:
        """Return the influence value of each row, (B,); None if the metric states none."""
        if self.influence is None:
            return None
        return self._call(self.influence, name, probability, label, weight, group)

    def _call(self, function: Any, name: str, probability: Any, label: Any, weight: Any, group: Any) -> Any:
        if isinstance(function, str):
            function = load_object(function, where=f"metric {name}")
        groups = (group,) if self.needs_group else ()
        return function(probability, label, *groups, weight)


METRICS: Registry[Metric] = Registry("metric")
"""All metrics by name, in the order in which they are reported."""


def register_metric(name: str, metric: Metric) -> Metric:
    """Make a metric usable by its name, and return it.

    A configuration that another process reads, such as that of `recsys train`, names the metric by its import path,
    "package.module:name", and so imports the module that registers it.

    Args:
        name: Lower case letters, digits and _.
        metric: What is known of it.

    Raises:
        ConfigError: The name is taken.
    """
    if name in NAMES_IN_USE:
        raise ConfigError(f"metric {name!r} cannot have this name, which is that of another figure")
    return METRICS.register(name, metric)


def _register_own(name: str, function: str, influence: str | None = None, **facts: Any) -> None:
    """Register a metric of this package by the import paths of its functions below that of this room."""
    room = __name__.rpartition(".")[0]
    path = None if influence is None else f"{room}.{influence}"
    register_metric(name, Metric(f"{room}.{function}", influence=path, **facts))


_SHARE, _POSITIVE = (0.0, 1.0), (0.0, inf)
_AT_THE_END: dict[str, Any] = {"is_headline": False, "at_epochs": False}
_register_own("auc", "ranking:auc", "ranking:auc_influence", higher_is_better=True, label="AUC", scale=_SHARE)
_register_own(
    "logloss", "probability:logloss", "probability:logloss_influence", higher_is_better=False, scale=_POSITIVE
)
_register_own(
    "ne",
    "probability:normalised_entropy",
    "probability:normalised_entropy_influence",
    higher_is_better=False,
    is_headline=False,
    scale=_POSITIVE,
)
_register_own(
    "calibration",
    "probability:calibration",
    "probability:calibration_influence",
    higher_is_better=None,
    is_headline=False,
    scale=_POSITIVE,
)
_register_own(
    "gauc",
    "ranking:gauc_figures",
    "ranking:gauc_influence",
    higher_is_better=True,
    needs_group=True,
    label="GAUC",
    scale=_SHARE,
)
_register_own(
    "average_precision",
    "precision:average_precision",
    "precision:average_precision_influence",
    higher_is_better=True,
    label="average precision",
    scale=_SHARE,
    **_AT_THE_END,
)
_register_own(
    "brier_score",
    "reliability:brier_figures",
    "reliability:brier_influence",
    higher_is_better=False,
    label="Brier score",
    scale=_SHARE,
    **_AT_THE_END,
)
_register_own("ece", "reliability:ece_figures", higher_is_better=False, label="ECE", scale=_SHARE, **_AT_THE_END)
_register_own(
    "ndcg_10",
    "top:ndcg_figures",
    "top:ndcg_influence",
    higher_is_better=True,
    needs_group=True,
    label="NDCG@10",
    scale=_SHARE,
    **_AT_THE_END,
)
_register_own(
    "recall_10",
    "top:recall_figures",
    "top:recall_influence",
    higher_is_better=True,
    needs_group=True,
    label="recall@10",
    scale=_SHARE,
    **_AT_THE_END,
)


def epoch_metrics(compared_by: str) -> list[str]:
    """Return the names of the metrics that are computed after each epoch.

    >>> "ece" in epoch_metrics("auc"), "ece" in epoch_metrics("ece")
    (False, True)

    Args:
        compared_by: registered name of the metric that epochs are compared by, however costly.
    """
    return [name for name, metric in METRICS.items() if metric.at_epochs or name == compared_by]


def resolve_metric(name: str) -> str:
    """Return the registered name of a metric that a configuration names, by name or by import path.

    >>> resolve_metric("auc")
    'auc'

    Raises:
        ValueError: There is no such metric, or epochs cannot be compared by it.
    """
    registered = _import_metric(name) if ":" in name else name
    comparable = [known for known, metric in METRICS.items() if metric.higher_is_better is not None]
    if registered not in comparable:
        choices = f"must be one of {', '.join(comparable)}, package.module:name"
        raise ValueError(f"{choices}, got {name!r}{did_you_mean(name, comparable)}")
    return registered


def _import_metric(path: str) -> str:
    """Import the metric of an import path, register it under the last part of the path, and return that."""
    try:
        metric = load_object(path)
    except ConfigError as error:
        raise ValueError(str(error)) from error
    if not isinstance(metric, Metric):
        kind = "a class, not an object of it" if isinstance(metric, type) else f"of type {type(metric).__name__}"
        raise ValueError(f"must be a recsys.Metric, got {path!r}, which is {kind}")
    name = path.rpartition(":")[2]
    register_metric(name, metric)
    return name


def metric_label(name: str) -> str:
    """Return how texts call a metric; its name if it is not registered in this process.

    >>> metric_label("gauc")
    'GAUC'
    """
    return (METRICS[name].label or name) if name in METRICS else name


def is_interval_end(name: str) -> bool:
    """Return whether a figure is an end of the interval of a metric.

    >>> is_interval_end("auc_low"), is_interval_end("auc")
    (True, False)
    """
    metric, _, end = name.rpartition("_")
    return metric in METRICS and end in INTERVAL_ENDS


def headlines(metrics: Mapping[str, float], prefix: str = "") -> dict[str, float]:
    """Return the metrics that reports show, by name, in the order in which they were registered.

    Args:
        metrics: Figures by name.
        prefix: What precedes the names of metrics, such as "test.".

    >>> headlines({"test.auc": 0.75, "test.logloss": 0.5, "test.ne": 0.9}, "test.")
    {'auc': 0.75, 'logloss': 0.5}
    """
    shown = [name for name, metric in METRICS.items() if metric.is_headline]
    return {name: metrics[f"{prefix}{name}"] for name in shown if f"{prefix}{name}" in metrics}


def describe_metrics(metrics: Mapping[str, float], prefix: str = "", *, with_intervals: bool = False) -> str:
    """Return the metrics that reports show in one line.

    Args:
        metrics: Figures by name.
        prefix: What precedes the names of metrics, such as "test.".
        with_intervals: Whether to show the 95 % interval of metrics that have one.

    >>> describe_metrics({"valid.auc": 0.75, "valid.logloss": 0.5, "valid.auc_low": 0.7}, "valid.")
    'AUC 0.75000, logloss 0.50000'
    >>> describe_metrics({"auc": 0.75, "auc_low": 0.7, "auc_high": 0.8}, with_intervals=True)
    'AUC 0.75000 (95 % interval 0.70000 to 0.80000)'
    """
    shown = []
    for name, value in headlines(metrics, prefix).items():
        low, high = (metrics.get(f"{prefix}{name}_{end}") for end in INTERVAL_ENDS)
        has_interval = with_intervals and low is not None and high is not None
        interval = f" (95 % interval {low:.5f} to {high:.5f})" if has_interval else ""
        shown.append(f"{metric_label(name)} {value:.5f}{interval}")
    return ", ".join(shown)
