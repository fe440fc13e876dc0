"""Searches by trials from beginning to end; trials themselves are tested in tests/search/optuna."""

import sys
from pathlib import Path

import pytest

from recsys.config import load_config
from recsys.errors import ConfigError
from recsys.search.outputs import SearchResult
from tests.search.small_search import run, write_search

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> SearchResult:
    pytest.importorskip("optuna")
    place = tmp_path_factory.mktemp("trials")
    return run(write_search(place), place / "s", method="optuna", trials=4, budget=0.8)


def test_the_best_trial_keeps_to_the_budget_and_is_compared_with_the_baseline(done: SearchResult) -> None:
    assert done.best.serving_bytes <= 0.8 * done.baseline.serving_bytes
    text = (done.folder / "report.md").read_text()
    assert f"| **{done.best.name}** |" in text
    assert "| trials |" in text
    assert "supernet under masks" not in text
    assert load_config(done.best_yaml) == load_config(done.folder / "front" / f"{done.best.name}.yaml")


def test_the_same_search_again_has_the_same_result(done: SearchResult) -> None:
    again = run(done.folder.parent / "config.yaml", done.folder, method="optuna", trials=4, budget=0.8)
    assert (again.best.name, again.best.auc) == (done.best.name, done.best.auc)


def test_without_tables_to_shape_it_searches_other_keys(tmp_path: Path) -> None:
    pytest.importorskip("optuna")
    space = {"train.dense_optimizer.lr": {"low": 1e-3, "high": 1e-1, "log": True}}
    found = run(write_search(tmp_path, search={"dims": {}, "space": space}), tmp_path / "s", method="optuna", trials=3)
    assert found.best.serving_bytes == found.baseline.serving_bytes
    assert found.best.auc >= found.baseline.auc
    if found.best.name != "baseline":
        assert "- `train.dense_optimizer.lr`: 0." in (found.folder / "report.md").read_text()


def test_without_optuna_the_message_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("recsys.search.optuna")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ConfigError, match=r"--method: optuna needs optuna: pip install 'recsys\[search\]'"):
        run(write_search(tmp_path), tmp_path / "s", method="optuna")


def test_options_of_trials_are_refused_elsewhere(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--storage: is for the method optuna, got the method dnis"):
        run(write_search(tmp_path), tmp_path / "s", method="dnis", storage="x")
