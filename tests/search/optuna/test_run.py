import re
from pathlib import Path

import pytest
from optuna import Trial
from optuna.trial import TrialState

from recsys.config.changes import with_changes
from recsys.errors import ConfigError
from recsys.search.optuna.attributes import AUCS, STOPPED, trial_name
from recsys.search.optuna.queue import TrialQueue
from recsys.search.optuna.trial import TrialRunner
from tests.search.optuna.postgres import postgres_server
from tests.search.optuna.search_workers import Worker, check_all_done_once, study_of
from tests.search.optuna.small_search import LR, small_search
from tests.training.logs import QUICK

pytestmark = pytest.mark.slow


def test_the_configuration_is_measured_first_and_then_uniform_widths(tmp_path: Path) -> None:
    search = small_search(tmp_path, train=QUICK)
    lines: list[str] = []
    found = search.run(3, log=lines.append)
    assert [one.name for one in found] == ["baseline", "trial-0001", "trial-0002"]
    assert [one.serving_bytes for one in found] == [4 * 34 * 8, 2 * 34 * 8, 2 * 34 * 4]
    assert all(0.5 < one.auc < 1 and one.auc_low is not None and one.auc_low < one.auc for one in found)
    assert {name: shape.widths for name, shape in found[2].candidate.shapes.items()} == {"user": (4,), "item": (4,)}
    assert re.match(r"trial 1 of 3, baseline: valid AUC 0\.\d+, 1,088 bytes, \d+ s$", lines[0])
    assert not list(search.folder.path.glob("runs/*/predictions/test.parquet"))


def test_a_finished_search_is_read_and_one_with_more_trials_goes_on(tmp_path: Path) -> None:
    search = small_search(tmp_path)
    first = search.run(1)
    lines: list[str] = []
    assert [one.auc for one in search.run(1, log=lines.append)] == [first[0].auc]
    assert lines == []
    assert len(search.run(3)) == 3


def test_the_same_search_makes_the_same_trials(tmp_path: Path) -> None:
    found = []
    for name in "ab":
        search = small_search(tmp_path / name, search={"space": LR})
        found.append([(one.auc, one.candidate.changes) for one in search.run(4)])
    assert found[0] == found[1]


def test_a_search_without_tables_compares_by_auc_alone(tmp_path: Path) -> None:
    search = small_search(tmp_path, search={"dims": {}, "space": LR})
    assert len({one.serving_bytes for one in search.run(3)}) == 1
    assert [direction.name for direction in study_of(search).directions] == ["MAXIMIZE"]


def test_a_trial_that_is_behind_is_stopped_with_its_figures(tmp_path: Path) -> None:
    bad = {"train.dense_optimizer.lr": [0.01, 0.011, 0.012, 1e-9]}
    search = small_search(tmp_path, search={"dims": {}, "space": bad}, train={"epochs": 6})
    found = search.run(4)
    trials = {trial.params["train.dense_optimizer.lr"]: trial for trial in study_of(search).trials}
    if trials[1e-9].number == 3:  # the order of the others is drawn
        assert trials[1e-9].state.name == "PRUNED"
        assert trials[1e-9].user_attrs[STOPPED] < 6
    assert len(trials[0.01].user_attrs[AUCS]) == 6
    assert len(found) == 4


def test_a_trial_that_cannot_be_trained_is_done_and_the_search_goes_on(tmp_path: Path) -> None:
    search = small_search(tmp_path, search={"dims": {}, "space": {"train.dense_optimizer.lr": [0.01, 1e30]}})
    lines: list[str] = []
    found = search.run(2, log=lines.append)
    assert [one.name for one in found] == ["baseline"]
    assert "trial 2 of 2, trial-0001: failed: " in lines[1]


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_trial_that_another_process_has_taken_up_is_left_to_it(
    when: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train = TrialRunner._train

    def taken_up(self: TrialRunner, queue: TrialQueue, trial: Trial) -> dict[str, float]:
        if trial_name(trial) != "trial-0001":
            return train(self, queue, trial)
        metrics = train(self, queue, trial) if when == "after" else {}
        queue.study.tell(trial.number, state=TrialState.FAIL)
        return metrics or train(self, queue, trial)

    monkeypatch.setattr(TrialRunner, "_train", taken_up)
    lines: list[str] = []
    found = small_search(tmp_path).run(2, log=lines.append)
    assert [one.name for one in found] == ["baseline", "trial-0002"]
    assert "trial-0001: another process has taken it up, since this one was silent for long" in lines


def test_a_study_of_another_configuration_is_refused(tmp_path: Path) -> None:
    storage = f"sqlite:///{tmp_path}/study.db"
    search = small_search(tmp_path)
    search.run(1, storage=storage)
    other = search._replace(config=with_changes(search.config, {("train", "epochs"): 2}), root=tmp_path)
    (search.folder.path / "search.json").unlink()
    for path in sorted(search.folder.path.rglob("*"), reverse=True):
        path.unlink() if path.is_file() or path.is_symlink() else path.rmdir()
    with pytest.raises(ConfigError, match="its study 'mine' was started with another configuration"):
        other.run(1, storage=storage)


@pytest.mark.parametrize("storage", ["", "sqlite:///{}/study.db"])
def test_two_processes_do_each_trial_once_and_both_finish(storage: str, tmp_path: Path) -> None:
    search, url = small_search(tmp_path, search={"space": LR}), storage.format(tmp_path)
    workers = [Worker(tmp_path, 7, url) for _ in range(2)]
    lines = [worker.finish() for worker in workers]
    check_all_done_once(study_of(search, url or None), 7)
    begun = [line.split()[4] for line in lines[0] + lines[1] if line.startswith("trial ")]
    assert len(begun) == len(set(begun)) == 7


@pytest.mark.parametrize("storage", ["", "sqlite:///{}/study.db"])
def test_a_search_that_is_killed_loses_at_most_its_running_trial(storage: str, tmp_path: Path) -> None:
    search, url = small_search(tmp_path, search={"space": LR}), storage.format(tmp_path)
    worker = Worker(tmp_path, 5, url)
    worker.kill_while_it_trains(search, after=2)
    done = [trial for trial in study_of(search, url or None).trials if trial.state.name in ("COMPLETE", "PRUNED")]
    assert len(done) >= 2
    lines = Worker(tmp_path, 5, url).finish()
    check_all_done_once(study_of(search, url or None), 5)
    assert len([line for line in lines if line.startswith("trial ")]) == 5 - len(done)
    assert [line for line in lines if "its process is gone, so it is taken up again" in line]


@pytest.mark.proof
def test_processes_share_a_postgresql_database_and_one_of_them_is_killed(tmp_path: Path) -> None:
    search = small_search(tmp_path, search={"space": LR})
    with postgres_server() as url:
        killed, other = Worker(tmp_path, 6, url), Worker(tmp_path, 6, url)
        killed.kill_while_it_trains(search, after=1)
        lines = Worker(tmp_path, 6, url).finish() + other.finish()
        check_all_done_once(study_of(search, url), 6)
    assert [line for line in lines if "its process is gone, so it is taken up again" in line]


def test_schemes_and_widths_of_a_tower_that_needs_one_width_are_trained(tmp_path: Path) -> None:
    model = {"tower": "fm", "dim": 8}
    search = small_search(tmp_path, model=model, search={"schemes": ["full", "hash"], "shares": [0.5]})
    found = search.run(8)
    assert [one.serving_bytes for one in found[:2]] == [4 * 34 * 8, 4 * 34 * 4]
    changed = [one for one in found if ("tables", "user", "scheme") in one.candidate.changes]
    assert changed
    assert all(one.serving_bytes < found[0].serving_bytes for one in changed)
