"""A run as the page tells of it: its training and its settings beside its predictions and figures."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recsys.checksums import read_json
from recsys.config import load_config
from recsys.config.dump import plain
from recsys.judging.report.judged import Judged
from recsys.judging.report.settings import flat
from recsys.run_folder import RunFolder

if TYPE_CHECKING:
    import polars as pl

    from recsys.evaluation.predictions import Predictions

__all__ = ["judged_run"]

_REMEDY = "restore it from a copy, or train the run again"


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
    return Judged(
        name=str(run),
        model=model,
        predictions=predictions,
        metrics=metrics,
        epochs=folder.read_epochs(),
        slices=slices,
        importance=importance,
        about=about,
        settings=_settings(folder),
    )


def _settings(folder: RunFolder) -> dict[str, dict[str, Any]]:
    found = {"Configuration": flat(plain(load_config(folder.config))), "Data": _data(folder)}
    if folder.environment.exists():
        found["Environment"] = flat(read_json(folder.environment, remedy=_REMEDY))
    return found


def _data(folder: RunFolder) -> dict[str, Any]:
    """Return what is known of the data, without the counts of each feature."""
    facts = dict(folder.read_origin())
    for split, counts in facts.pop("splits", {}).items():
        facts |= {f"{split}.{name}": value for name, value in counts.items() if name != "features"}
    return flat(facts)
