"""Checkpoints of trials that nothing needs any more, so that a search does not fill the disk."""

from collections.abc import Iterable
from contextlib import suppress
from typing import NamedTuple

from optuna.trial import FrozenTrial, TrialState

from recsys.errors import LockedError
from recsys.files import draft
from recsys.run_folder import RunFolder
from recsys.search.folder import BASELINE, SearchFolder
from recsys.search.front import pareto_front
from recsys.search.optuna.attributes import AUC, BYTES, is_finished, trial_name

__all__ = ["delete_checkpoints"]


class _Point(NamedTuple):
    name: str
    serving_bytes: int
    auc: float


def delete_checkpoints(folder: SearchFolder, trials: Iterable[FrozenTrial]) -> None:
    """Delete the checkpoints of finished trials but for those of the front, of which the best one is chosen.

    Those of the user's configuration stay too: it is compared with the best one. While another process writes what was
    found, nothing is deleted; the next trial makes up for it.

    Args:
        folder: of the search.
        trials: all of the study.
    """
    known = list(trials)
    going_on = {trial_name(trial) for trial in known if trial.state in (TrialState.RUNNING, TrialState.WAITING)}
    done = {trial_name(trial): trial for trial in known if is_finished(trial)}
    points = [_Point(name, one.user_attrs[BYTES], one.user_attrs[AUC]) for name, one in done.items() if _is_known(one)]
    needed = {BASELINE, *going_on, *(point.name for point in pareto_front(points))}
    with suppress(LockedError), folder.changing(wait_seconds=0):
        for name in done.keys() - needed:
            checkpoints = RunFolder(folder.run(name)).checkpoints
            if checkpoints.exists():
                with draft(checkpoints) as gone:  # in one step, for a part of a checkpoint would look whole
                    checkpoints.rename(gone)


def _is_known(trial: FrozenTrial) -> bool:
    """Return whether a trial has figures."""
    return trial.state in (TrialState.COMPLETE, TrialState.PRUNED) and AUC in trial.user_attrs
