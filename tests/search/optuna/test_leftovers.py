"""Which checkpoints of trials a search deletes, and which it keeps."""

from pathlib import Path
from typing import Any

import pytest
from optuna.trial import FrozenTrial, TrialState, create_trial

from recsys.run_folder import RunFolder
from recsys.search.folder import SearchFolder
from recsys.search.front import pareto_front
from recsys.search.optuna.attributes import AUC, BYTES, NAME, REASON
from recsys.search.optuna.leftovers import delete_checkpoints
from tests.search.optuna.small_search import LR, small_search


def trial(name: str, state: TrialState, **attributes: Any) -> FrozenTrial:
    values = [0.5] if state == TrialState.COMPLETE else None
    return create_trial(state=state, values=values, user_attrs={NAME: name, **attributes})


TRIALS = [
    trial("baseline", TrialState.COMPLETE, **{BYTES: 100, AUC: 0.6}),
    trial("small", TrialState.COMPLETE, **{BYTES: 10, AUC: 0.5}),
    trial("good", TrialState.PRUNED, **{BYTES: 50, AUC: 0.7}),
    trial("beaten", TrialState.COMPLETE, **{BYTES: 60, AUC: 0.65}),
    trial("stopped", TrialState.PRUNED, **{BYTES: 60, AUC: 0.4}),
    trial("impossible", TrialState.FAIL, **{REASON: "no memory"}),
    trial("lost", TrialState.FAIL),
    trial("lost", TrialState.WAITING),
    trial("given back and done elsewhere", TrialState.FAIL),
    trial("given back and done elsewhere", TrialState.COMPLETE, **{BYTES: 70, AUC: 0.3}),
    trial("begun", TrialState.RUNNING, **{BYTES: 1}),
]
NEEDED = {"baseline", "small", "good", "lost", "begun"}


def with_checkpoints(folder: SearchFolder) -> set[str]:
    return {path.parent.name for path in folder.path.glob("runs/*/checkpoints")}


@pytest.fixture
def folder(tmp_path: Path) -> SearchFolder:
    """A search with a run for each trial."""
    found = SearchFolder(tmp_path / "s")
    for one in TRIALS:
        last = RunFolder(found.run(one.user_attrs[NAME])).last_checkpoint
        last.mkdir(parents=True, exist_ok=True)
        (last / "weights").touch()
    return found


def test_what_is_beaten_goes_and_what_may_be_chosen_or_gone_on_with_stays(folder: SearchFolder) -> None:
    delete_checkpoints(folder, TRIALS)
    assert with_checkpoints(folder) == NEEDED
    assert {path.name for path in folder.path.glob("runs/beaten/*")} == set()
    delete_checkpoints(folder, TRIALS)
    assert with_checkpoints(folder) == NEEDED


def test_nothing_is_deleted_while_another_process_writes_what_was_found(folder: SearchFolder) -> None:
    before = with_checkpoints(folder)
    with folder.changing():
        delete_checkpoints(folder, TRIALS)
    assert with_checkpoints(folder) == before


@pytest.mark.slow
def test_a_search_keeps_the_checkpoints_of_its_front(tmp_path: Path) -> None:
    search = small_search(tmp_path, search={"dims": {}, "space": LR})
    found = search.run(4)
    assert with_checkpoints(search.folder) == {"baseline", *(one.name for one in pareto_front(found))}
    assert len(list(search.folder.path.glob("runs/*/metrics.json"))) == 4
