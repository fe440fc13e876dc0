"""Checkpoints of trials that nothing needs any more, so that a search does not fill the disk."""

from collections.abc import Sequence
from contextlib import suppress

from optuna.trial import FrozenTrial, TrialState

from recsys.errors import LockedError
from recsys.files import draft
from recsys.judging.pareto import Point
from recsys.run_folder import RunFolder
from recsys.search.folder import BASELINE, SearchFolder
from recsys.search.front import pareto_front
from recsys.search.optuna.attributes import AUC, BYTES, has_figures, is_finished, trial_name

__all__ = ["delete_checkpoints"]


def delete_checkpoints(folder: SearchFolder, trials: Sequence[FrozenTrial]) -> None:
    """Delete the checkpoints of finished trials but for those of the front, of which the best one is chosen.

    Those of the user's configuration stay too: it is compared with the best one. While another process writes what was
    found, nothing is deleted; the next trial makes up for it.

    Args:
        folder: of the search.
        trials: all of the study.
    """
    going_on = {trial_name(trial) for trial in trials if trial.state in (TrialState.RUNNING, TrialState.WAITING)}
    done = {trial_name(trial): trial for trial in trials if is_finished(trial)}
    known = {name: trial.user_attrs for name, trial in done.items() if has_figures(trial) and AUC in trial.user_attrs}
    points = [Point(name, figures[BYTES], figures[AUC]) for name, figures in known.items()]
    needed = {BASELINE, *going_on, *(point.label for point in pareto_front(points))}
    with suppress(LockedError), folder.changing(wait_seconds=0):
        for name in done.keys() - needed:
            checkpoints = RunFolder(folder.run(name)).checkpoints
            if checkpoints.exists():
                with draft(checkpoints) as gone:  # in one step, for a part of a checkpoint would look whole
                    checkpoints.rename(gone)
