"""Whole searches by a method that learns nothing."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from recsys.config import load_config
from recsys.data.reader import Reader
from recsys.errors import ConfigError, RecsysError
from recsys.run_folder import RunFolder
from recsys.search.methods import METHODS
from recsys.search.outputs import SearchResult
from recsys.search.scorer import Scorer
from recsys.training import series
from tests.pages import page
from tests.search.small_search import FEATURES, METHOD, run, write_search

pytestmark = pytest.mark.slow

IDS = {name: section for name, section in FEATURES.items() if section["type"] == "id"}
"""Features of which one has to stay, and keeps a narrow row."""


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> SearchResult:
    """A finished search for 0.8 of the bytes, of which two points were trained."""
    place = tmp_path_factory.mktemp("search")
    return run(write_search(place, search={"dims": {"user": [4, 8]}}), place / "found", budget=0.8, retrain=1)


def test_a_search_leaves_what_it_promises(done: SearchResult) -> None:
    names = {path.name for path in done.folder.iterdir()}
    assert {"best.yaml", "front", "pareto.csv", "pareto.png", "report.md", "result.json", "search.json"} <= names
    rows = list(csv.DictReader(io.StringIO((done.folder / "pareto.csv").read_text())))
    assert {(row["name"], row["source"]) for row in rows} == {
        ("baseline", "trained"),
        ("no_users", "supernet"),
        ("no_users", "trained"),
        ("halves", "supernet"),
        ("uniform-4", "supernet"),
        ("uniform-4", "trained"),
        ("users", "supernet"),
        ("users", "trained"),
        ("whole", "supernet"),
    }
    on_front = {row["name"] for row in rows if row["on_front"] == "1"}
    assert on_front == {one.name for one in done.front}
    assert {path.stem for path in (done.folder / "front").iterdir()} == on_front | {"uniform-4"}


def test_one_width_for_all_tables_is_trained_beside_what_was_found(done: SearchResult) -> None:
    result = json.loads((done.folder / "result.json").read_text())
    aucs = {one["name"]: one["auc"]["valid"] for one in result["trained"]}
    assert max(aucs, key=aucs.__getitem__) == done.best.name
    uniform = load_config(done.folder / "front" / "uniform-4.yaml")
    assert {table.dim or uniform.model.dim for table in uniform.tables.values()} == {4}


def test_the_best_keeps_to_the_budget_and_is_a_run_of_its_file(done: SearchResult) -> None:
    assert done.best.source == "trained"
    assert done.best.serving_bytes <= 0.8 * done.baseline.serving_bytes
    trained = load_config(done.folder / "runs" / done.best.name / "config.yaml")
    assert trained.tables == load_config(done.best_yaml).tables
    metrics = json.loads((done.folder / "runs" / done.best.name / "metrics.json").read_text())
    assert (metrics["valid.auc"], metrics["embedding_bytes.serving"]) == (done.best.auc, done.best.serving_bytes)


def test_the_report_answers_what_can_be_dropped_first(done: SearchResult) -> None:
    lines = (done.folder / "report.md").read_text().splitlines()
    assert lines[2].startswith("**Train `best.yaml`: the tables take ")
    assert "in place of 1.1 kB" in lines[2]
    assert "it and yours cannot be told apart" in lines[2] or "than yours" in lines[2]
    text = "\n".join(lines)
    for part in ("| `user` | 21 | 1,600 | 8 | 4 |", "recsys search config.yaml", "| **the search** |", "logloss |"):
        assert part in text


def test_the_same_search_again_trains_and_scores_nothing(done: SearchResult, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(series, "train", None)
    monkeypatch.setattr("recsys.search.scorer.score_shapes", None)
    again = run(done.folder.parent / "config.yaml", done.folder, budget=0.8, retrain=1)
    assert (again.best.name, again.best.auc) == (done.best.name, done.best.auc)


class Killed(BaseException):
    """Stands for the end of the process."""


def killing_after(calls: int, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that is killed after some calls, just when it has done its work."""
    left = calls

    def call(*arguments: Any, **options: Any) -> Any:
        nonlocal left
        left -= 1
        result = function(*arguments, **options)
        if left < 0:
            raise Killed
        return result

    return call


@pytest.mark.parametrize("calls", range(4))
@pytest.mark.parametrize("what", ["train", "measure"])
def test_a_search_that_is_killed_goes_on_to_the_same_result(
    done: SearchResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str, calls: int
) -> None:
    config = done.folder.parent / "config.yaml"
    with monkeypatch.context() as patch:
        if what == "train":
            patch.setattr(series, "train", killing_after(calls, series.train))
        else:
            patch.setattr(Scorer, "measure", killing_after(calls, Scorer.measure))
        with pytest.raises(Killed):
            run(config, tmp_path / "s", budget=0.8, retrain=1)
    found = run(config, tmp_path / "s", budget=0.8, retrain=1)
    assert (found.best.name, found.best.auc) == (done.best.name, done.best.auc)
    assert [(one.name, one.auc) for one in found.front] == [(one.name, one.auc) for one in done.front]
    assert (found.folder / "best.yaml").read_text() == done.best_yaml.read_text()


def test_the_test_rows_are_not_read_before_everything_is_chosen(
    done: SearchResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    made = Reader.__init__

    def spying(self: Any, split: Any, *arguments: Any, **options: Any) -> None:
        read.append(split.files[0].parent.name)
        made(self, split, *arguments, **options)

    monkeypatch.setattr(Reader, "__init__", spying)

    def judged(*arguments: Any) -> None:
        raise Killed

    monkeypatch.setattr("recsys.search.session.Session.judge", judged)
    with pytest.raises(Killed):
        run(done.folder.parent / "config.yaml", tmp_path / "s", budget=0.8)
    assert set(read) == {"train", "valid"}
    assert not list((tmp_path / "s").rglob("test.parquet"))


def test_the_test_rows_are_scored_for_the_report(done: SearchResult) -> None:
    for name in ("baseline", done.best.name):
        folder = RunFolder(done.folder / "runs" / name)
        assert pl.read_parquet(folder.predictions("test")).height == 400
        assert 0 < folder.read_metrics()["test.auc"] < 1


def test_another_budget_goes_on_with_the_same_supernet(
    done: SearchResult, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found = run(done.folder.parent / "config.yaml", done.folder, budget=0.4, retrain=0)
    assert found.best.name == "no_users"


@pytest.mark.parametrize(
    ("options", "changes", "message"),
    [
        ({"method": "dniss"}, {}, r"--method: no method 'dniss'; did you mean 'dnis'\?; known are "),
        ({"method": "math:pi"}, {}, "--method: must be a subclass of recsys.search.methods.base.Method"),
        ({"budget": 1}, {}, r"--budget: the tables take 1.1 kB as they are, so 1.1 kB leave nothing to do; give less"),
        ({"budget": "8MB"}, {}, r"--budget: the tables take 1.1 kB as they are, so 8.0 MB leave nothing to do"),
        ({"budget": "8"}, {}, r"--budget: a number without a unit is a fraction of the full table, in \(0, 1\]; got 8"),
        ({"budget": "many"}, {}, "--budget: must be a number and one of B, kB"),
        (
            {"budget": "100B"},
            {"tables": {"users": {"features": ["user"], "scheme": "hash", "rows": 20}}},
            "--budget: 100 B cannot be reached; the least is 640 B: the tables whose scheme is not full take 640 B",
        ),
        (
            {},
            {"tables": {"all": {"features": ["*"], "scheme": "hash", "rows": 20}}},
            "no table has the scheme full",
        ),
        *(
            (
                {"method": name, "budget": "31B"},
                {"features": IDS},
                "--budget: 31 B cannot be reached; the least is 32 B",
            )
            for name in METHODS
        ),
        (
            {"method": "optuna", "budget": "543B"},
            {"features": IDS},
            "--budget: 543 B cannot be reached; the least is 544 B",
        ),
    ],
)
def test_what_cannot_be_searched_is_refused_before_anything_is_trained(
    tmp_path: Path, options: dict[str, Any], changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message) as error:
        run(write_search(tmp_path, **changes), tmp_path / "s", **options)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "s").exists()


def test_a_budget_below_all_candidates_names_the_least_and_what_was_done_is_kept(done: SearchResult) -> None:
    with pytest.raises(ConfigError, match=r"--budget: nothing that was found is as small as 54 B; the least is 416 B"):
        run(done.folder.parent / "config.yaml", done.folder, budget=0.05)


def test_the_method_of_the_page_searches(done: SearchResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in page("recsys/search/README.md").files().items():
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    found = run(done.folder.parent / "config.yaml", tmp_path / "s", method="uniform:Uniform", budget=0.5)
    assert found.best.name == "dim-4"
    assert found.best.serving_bytes * 2 == found.baseline.serving_bytes


def test_a_folder_of_another_search_is_refused(done: SearchResult) -> None:
    with pytest.raises(RecsysError, match=r"was started with another method \('tests.*', now 'nested'\).*--name"):
        run(done.folder.parent / "config.yaml", done.folder, method="nested")
    assert json.loads((done.folder / "search.json").read_text())["method"] == METHOD


def test_the_page_lists_all_methods() -> None:
    text = page("recsys/search/README.md").text
    assert [name for name in METHODS if f"`methods/{name}.py`" not in text] == []
