"""Processes that take part in a search, and what must be true of their study in the end."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import optuna
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial

from recsys.search.optuna.attributes import trial_name
from recsys.search.optuna.run import JOURNAL
from recsys.search.optuna.study import close_storage, open_storage
from tests.search.optuna.small_search import SmallSearch


class Record(NamedTuple):
    """The content of a study, as it was read."""

    trials: list[FrozenTrial]
    directions: list[StudyDirection]


def study_of(search: SmallSearch, storage: str | None = None) -> Record:
    """Read the study of a search."""
    opened = open_storage(storage, search.folder.state / JOURNAL)
    try:
        study = optuna.load_study(study_name="mine", storage=opened)
        return Record(study.trials, list(study.directions))
    finally:
        close_storage(opened)


class Worker:
    """A process that takes part in a search."""

    def __init__(self, root: Path, trials: int, storage: str) -> None:
        program = [sys.executable, "-W", "ignore", "-m", "tests.search.optuna.small_search"]
        argv = [*program, str(root), str(trials), storage]
        self.process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def finish(self) -> list[str]:
        out, _ = self.process.communicate(timeout=300)
        assert self.process.returncode == 0, out
        return out.splitlines()

    def kill_while_it_trains(self, search: SmallSearch, after: int) -> None:
        """Kill it with a trial running, when `after` others are finished."""
        deadline = time.monotonic() + 200
        while time.monotonic() < deadline:
            if len(list(search.folder.path.glob("runs/*/metrics.json"))) >= after and running(search):
                break
            time.sleep(0.02)
        self.process.kill()
        self.process.communicate()


def running(search: SmallSearch) -> list[Path]:
    return [run for run in search.folder.path.glob("runs/*") if not (run / "metrics.json").exists()]


def check_all_done_once(study: Record, trials: int) -> None:
    finished = [trial for trial in study.trials if trial.state.name in ("COMPLETE", "PRUNED")]
    assert len(finished) == trials
    assert len({trial_name(trial) for trial in finished}) == trials
    assert len({json.dumps(trial.params) for trial in finished}) == trials
    assert not [trial for trial in study.trials if trial.state.name == "RUNNING"]
