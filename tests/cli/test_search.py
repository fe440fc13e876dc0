"""`recsys search` on the command line; searches themselves are tested in tests/search."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import recsys as package
from recsys.cli.app import app
from recsys.search.methods import BY_TRIALS, METHODS
from tests.cli.command_line import Recsys
from tests.search.small_search import METHOD, write_search

pytestmark = pytest.mark.slow

WORDS = ("search", "run.yaml", "--method", METHOD, "--budget", "0.8", "--device", "cpu")


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A log and its run.yaml in the current folder."""
    monkeypatch.chdir(tmp_path)
    write_search(tmp_path).rename("run.yaml")
    return tmp_path


def test_help_lists_all_methods() -> None:
    shown = CliRunner().invoke(app, ["search", "--help"], env={"COLUMNS": "200", "TERM": "dumb"}).output
    assert [name for name in [*METHODS, BY_TRIALS] if name not in shown] == []


def test_it_says_what_it_does_what_was_found_and_what_to_do_next(recsys: Recsys, own: Path) -> None:
    ended = recsys(*WORDS)
    folder = f"searches/{own.name}-Narrow"
    assert ended.code == 0
    found, report, command = ended.out.splitlines()
    assert found.startswith(f"{folder}: tables of ")
    assert " in place of 1.1 kB (" in found
    assert report.endswith(f"{folder}/report.md")
    assert command == f"to train it: recsys train {folder}/best.yaml"
    begun = [line.split(":")[0] for line in ended.err.splitlines()]
    assert list(dict.fromkeys(begun))[:2] == ["baseline", "supernet"]
    assert "candidate 2, halves: validation AUC 0." in ended.err
    assert "the best within the budget so far: " in ended.err
    assert (
        f"recsys search run.yaml --method {METHOD} --budget 0.8 --device cpu" in Path(folder, "report.md").read_text()
    )
    trained = recsys("train", f"{folder}/best.yaml", "--name", "best", "--device", "cpu")
    assert trained.code == 0
    again = recsys(*WORDS, "--method", "nested", "--name", f"{own.name}-Narrow")
    assert (again.code, again.out) == (2, "")
    assert "was started with another method" in again.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--method", "dniss"), "--method: no method 'dniss'; did you mean 'dnis'?"),
        (("--budget", "8MB"), "--budget: the tables take 1.1 kB as they are, so 8.0 MB leave nothing to do"),
        (("--budget", "8"), "--budget: a number without a unit is a fraction of the full table"),
        (("--trials", "3"), "--trials: is for the method optuna, got the method tests.search.small_search:Narrow"),
        (("--name", "../x"), "name of the search: must not be hidden or lead elsewhere"),
    ],
)
def test_a_wrong_option_is_refused(
    words: tuple[str, ...], message: str, own: Path, refused: Callable[..., str]
) -> None:
    assert refused(*WORDS, *words).startswith(message)
    assert not Path("searches").exists()


@pytest.mark.parametrize(
    "storage", ["sqlite:////no/such/x.db", "postgresql://me:secret@127.0.0.1:1/trials?sslmode=disable", "/proc/no/x"]
)
def test_a_storage_that_cannot_be_reached_is_refused_before_anything_is_trained(
    storage: str, own: Path, refused: Callable[..., str]
) -> None:
    pytest.importorskip("optuna")
    message = refused("search", "run.yaml", "--method", "optuna", "--storage", storage, "--device", "cpu")
    assert message.startswith(f"--storage: {storage.replace(':secret', '').partition('?')[0]} cannot be used: ")
    assert "secret" not in message
    assert not list(Path("searches").glob("*/runs"))


def test_ctrl_c_says_how_to_go_on(recsys: Recsys, own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*arguments: Any, **options: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("recsys.search.run.search", interrupted)
    ended = recsys(*WORDS, "--name", "mine", "--out", "my searches")
    assert ended.code == 130
    assert ended.err.splitlines()[-1] == (
        f"interrupted; to resume: recsys search run.yaml --method {METHOD} --budget 0.8 --device cpu --name mine "
        "--out 'my searches'"
    )


def test_it_can_be_called_from_python(own: Path) -> None:
    found = package.run_search("run.yaml", method=METHOD, budget=0.8, device="cpu", name="mine", log=None)
    assert found.folder == Path("searches/mine")
    assert found.best_yaml.exists()
    assert found.best.serving_bytes < found.baseline.serving_bytes
