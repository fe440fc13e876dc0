"""A run as the page tells of it: its training and its settings beside its predictions and figures."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recsys.config import Config, load_run_config
from recsys.config.dump import plain
from recsys.evaluation.metrics import METRICS
from recsys.judging.report.judged import Judged
from recsys.judging.report.settings import flat
from recsys.run_folder import RunFolder

if TYPE_CHECKING:
    import polars as pl

    from recsys.evaluation.predictions import Predictions
    from recsys.judging.evaluated import Evaluated

__all__ = ["judged_run", "judged_target"]

_PROBABILITY_METRICS = ("logloss", "ne", "calibration", "brier_score", "ece")


def judged_target(target: Path, evaluated: "Evaluated", *, importance: "pl.DataFrame | None" = None) -> Judged:
    """Return what the page tells of what was evaluated.

    Args:
        target: the folder of a run, or a file of scores, as the reader knows it.
        evaluated: its predictions, figures and slices.
        importance: what the features of the run carry.

    Raises:
        DataError: the folder is not that of a run, or a file in it is damaged.
    """
    about = "" if evaluated.about == str(target) else evaluated.about
    found, slices = evaluated.predictions, evaluated.slices
    if target.is_dir():
        return judged_run(target, found, evaluated.metrics, about=about, slices=slices, importance=importance)
    return Judged(name=str(target), predictions=found, metrics=evaluated.metrics, about=about, slices=slices)


def judged_run(
    run: Path,
    predictions: "Mapping[str, Predictions]",
    metrics: Mapping[str, float],
    *,
    about: str,
    model: str = "",
    slices: "pl.DataFrame | None" = None,
    importance: "pl.DataFrame | None" = None,
) -> Judged:
    """Return what the page tells of a run.

    Args:
        run: its folder, as the reader knows it.
        predictions: by task, of its test split or of other rows.
        metrics: figures of these predictions.
        about: what the rows are, such as "test split".
        model: what runs that differ only in their seed have in common.
        slices: the slices of these rows.
        importance: what its features carry.

    Raises:
        DataError: the folder is not that of a run, or a file in it is damaged.
    """
    folder = RunFolder(run)
    folder.require_run()
    config = load_run_config(folder.config)
    uncalibrated = {
        task: replace(of, score=of.uncalibrated) for task, of in predictions.items() if of.uncalibrated is not None
    }
    return Judged(
        name=str(run),
        model=model,
        predictions=predictions,
        metrics=metrics,
        epochs=folder.read_epochs(),
        slices=slices,
        importance=importance,
        about=about,
        uncalibrated=uncalibrated,
        figures_before=_figures_before(uncalibrated),
        settings=_settings(folder, config),
    )


def _figures_before(predictions: "Mapping[str, Predictions]") -> dict[str, float]:
    """Return the figures of probabilities, which calibration changes."""
    return {
        f"{task}.{name}" if task else name: value
        for task, of in predictions.items()
        for metric in _PROBABILITY_METRICS
        for name, value in METRICS[metric].compute(metric, of.score, of.label, of.weight, of.group).items()
    }


def _settings(folder: RunFolder, config: Config) -> dict[str, dict[str, Any]]:
    found = {"Configuration": flat(plain(config)), "Data": _data(folder)}
    environment = flat(folder.read_environment())
    return found | ({"Environment": environment} if environment else {})


def _data(folder: RunFolder) -> dict[str, Any]:
    """Return what is known of the data, without the counts of each feature."""
    facts = dict(folder.read_origin())
    for split, counts in facts.pop("splits", {}).items():
        facts |= {f"{split}.{name}": value for name, value in counts.items() if name != "features"}
    return flat(facts)
