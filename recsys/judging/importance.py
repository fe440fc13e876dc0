"""Importance: how much worse the figures are where a feature tells the model nothing, and what is worth nothing.

Paper: Breiman, "Random Forests", 2001, section 10 (permutation importance).
DIFF: it has an interval (`changed_figures.py`), and features that cannot change alone are looked at as one.

A feature may be worth nothing because another one says the same. Those that are named to be left out are therefore also
changed all at once.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import polars as pl

from recsys.config import DataSection
from recsys.data.prepare import prepare_split
from recsys.data.prepared import PreparedSplit
from recsys.data.sample import sample_split
from recsys.errors import ConfigError
from recsys.evaluation.seeds import ALPHA
from recsys.evaluation.verdict import holm
from recsys.files import scratch_folder
from recsys.judging.changed_figures import LOOKED_AT, Baseline, ChangedFigures
from recsys.judging.changed_scores import ChangedScores, Method
from recsys.judging.run_rows import split_of_run
from recsys.judging.units import Unit, chosen_units, join_units
from recsys.progress import OnProgress, no_progress
from recsys.ranks.seeds import derive_seed
from recsys.sources.find_files import find_files
from recsys.training.build import LoadedModel, load_run
from recsys.training.strategy import pick_device

__all__ = ["REPEATS", "ROWS", "importance", "importance_of"]

ROWS = 100_000
"""Rows that are looked at, unless more are asked for."""
REPEATS = 5
"""Permutations of each feature, unless others are asked for."""
LEAST = 0.001
"""AUC, or logloss, that counts: where both intervals end below it, a feature is worth nothing."""
COLUMNS = {"auc": "auc_loss", "logloss": "logloss_gain"}
"""Columns that say how much worse a metric is where a feature is changed."""

Verdict = Literal["carries", "nothing", "unclear"]


def importance(
    run: Path,
    data: Sequence[str] | None = None,
    *,
    split: Literal["test", "valid"] = "test",
    features: Sequence[str] | None = None,
    method: Method = "permute",
    rows: int = ROWS,
    repeats: int = REPEATS,
    seed: int | None = None,
    data_dir: Path | None = None,
    cache_dir: Path,
    section: DataSection | None = None,
    device: str | None = None,
    on_progress: OnProgress = no_progress,
) -> pl.DataFrame:
    """Return what each feature is worth to the best epoch of a run; see `importance_of`.

    Args:
        run: The folder of the run.
        data: Paths or globs of files with the label column. Default: the rows that the run was evaluated on.
        split: Which of the run's rows are looked at, where no files are given.
        features: Names of features, "a+b" for those to be looked at as one. Default: all of them.
        method: What is done to a feature.
        rows: Most rows; a random sample where there are more.
        repeats: Permutations of each feature.
        seed: Seed of the sample and of the permutations. Default: `train.seed`.
        data_dir: Folder that the paths in the run's section `data` are relative to. Default: the one of the training.
        cache_dir: Folder of prepared data.
        section: How to read the files. Default: as in training.
        device: "cpu" or "cuda". Default: CUDA where there is a device.
        on_progress: Called as rows are prepared and scored.

    Raises:
        DataError: The folder is not that of a run, the data are gone or do not hold the columns that it was trained on,
            or there are no rows, or none of one class.
        ConfigError: There is no such feature.
    """
    for name, number in {"rows": rows, "repeats": repeats}.items():
        if number < 1:
            raise ConfigError(f"{name}: must be at least 1, got {number}")
    loaded = load_run(run, device=pick_device(device))
    units = chosen_units(loaded.resolved, features)  # before the rows are prepared, which may take long
    seed = loaded.resolved.config.train.seed if seed is None else seed
    with scratch_folder() as scratch:
        if data is None:
            found = split_of_run(run, split, data_dir=data_dir, cache_dir=cache_dir, on_progress=on_progress)
        else:
            files, how = find_files(tuple(data), Path(), "data"), section or loaded.resolved.config.data
            found = prepare_split(loaded.resolved, loaded.state, files, how, scratch / "rows", on_progress)
        sample_seed = derive_seed(seed, "importance", "rows")
        sample = sample_split(found, loaded.resolved, rows, scratch / "sample", seed=sample_seed)
        return importance_of(loaded, sample, units, method=method, repeats=repeats, seed=seed, on_progress=on_progress)


def importance_of(
    loaded: LoadedModel,
    split: PreparedSplit,
    units: Sequence[Unit],
    *,
    method: Method = "permute",
    repeats: int = REPEATS,
    seed: int = 0,
    on_progress: OnProgress = no_progress,
) -> pl.DataFrame:
    """Return what each unit is worth to a model on the rows of a split, the most important one first.

    Returns:
        A row for each unit. `feature` is its name, and `features` all that changed with it. `auc` and `logloss` are the
        figures where it is changed, means over tasks; `auc_loss` and `logloss_gain` are how much worse that is, with
        the ends of their 95 % intervals, and with several tasks as `auc_loss.TASK` and `logloss_gain.TASK` too.
        `verdict` is "carries" if it surely is worth something, corrected for the number of units, "nothing" if that is
        not so and its intervals end below `LEAST`, else "unclear". `is_nothing` is whether it is "nothing", and
        `can_be_left_out` whether nothing is lost either if all such units are left out at once.

    Raises:
        DataError: the split has no rows, or none of one class.
    """
    scores = ChangedScores(loaded, split, method=method, repeats=repeats, seed=derive_seed(seed, "importance"))
    tasks = list(loaded.resolved.config.labels)
    baseline = Baseline(scores, tasks)
    found = {unit: baseline.compare(changed) for unit, changed in scores.of(units, on_progress)}
    verdicts = dict(zip(found, _verdicts(list(found.values())), strict=True))
    nothing = {unit: found[unit] for unit in found if verdicts[unit] == "nothing"}
    left_out = _left_out_together(baseline, nothing, on_progress)
    rows = [
        {
            "feature": unit.name,
            "features": list(unit.all),
            **_figures(one, tasks),
            "verdict": verdicts[unit],
            "is_nothing": verdicts[unit] == "nothing",
            "can_be_left_out": unit in left_out,
            "rows": split.num_rows,
            "repeats": scores.repeats,
        }
        for unit, one in found.items()
    ]
    return pl.DataFrame(rows).sort("auc_loss", "logloss_gain", descending=True, maintain_order=True)


def _figures(found: ChangedFigures, tasks: Sequence[str]) -> dict[str, float]:
    """Return the figures of a unit by the columns of the table."""
    figures: dict[str, float] = {}
    for metric, column in COLUMNS.items():
        worse = found.worse[metric]
        figures |= {column: worse.value, f"{column}_low": worse.low, f"{column}_high": worse.high}
    for metric, column in COLUMNS.items() if len(tasks) > 1 else ():
        figures |= {f"{column}.{task}": value for task, value in zip(tasks, found.of_tasks[metric], strict=True)}
    return figures | found.changed


def _verdicts(found: Sequence[ChangedFigures]) -> list[Verdict]:
    """Say which units are worth something; p values are corrected for the number of units and metrics."""
    losses = [worse for one in found for worse in one.worse.values()]
    is_surely = [
        p < ALPHA and loss.value > 0 for p, loss in zip(holm([loss.p_value for loss in losses]), losses, strict=True)
    ]
    verdicts: list[Verdict] = []
    for index, one in enumerate(found):
        if any(is_surely[index * len(LOOKED_AT) : (index + 1) * len(LOOKED_AT)]):
            verdicts.append("carries")
        else:
            verdicts.append("nothing" if one.most < LEAST else "unclear")
    return verdicts


def _left_out_together(
    baseline: Baseline, nothing: Mapping[Unit, ChangedFigures], on_progress: OnProgress
) -> set[Unit]:
    """Return those units that are worth nothing together, of those that can be left out at all.

    Where all of them together are worth something, as many as possible are taken, beginning with the least.
    """
    needed = baseline.scores.loaded.resolved.still_needed({name for unit in nothing for name in unit.all})
    able = sorted((unit for unit in nothing if needed.isdisjoint(unit.all)), key=lambda unit: nothing[unit].most)
    good, bad = min(len(able), 1), len(able) + 1  # so many can be left out, so many cannot
    number = len(able)
    while bad - good > 1:
        [(_, changed)] = baseline.scores.of([join_units(able[:number])], on_progress)
        if _verdicts([baseline.compare(changed)]) == ["nothing"]:
            good = number
        else:
            bad = number
        number = (good + bad) // 2
    return set(able[:good])
