"""What belongs to a search folder, and what is refused in it."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from recsys.data.prepare import prepare
from recsys.errors import ConfigError, DataError, LockedError, RecsysError
from recsys.search.candidate import Candidate, Measured
from recsys.search.folder import SearchFolder
from tests.training.logs import clicks, make_config, write_log

Open = Callable[..., Any]


@pytest.fixture
def opened(tmp_path: Path) -> Open:
    """Open the folder `s` for a search by a method; keyword arguments change the configuration."""
    log = write_log(tmp_path / "log")

    @contextmanager
    def call(method: str = "dnis", *, shared: bool = False, **changes: Any) -> Iterator[SearchFolder]:
        config = make_config(tmp_path / "config", **changes)
        folder = SearchFolder(tmp_path / "s")
        with folder.opened(config, method, prepare(config, log, tmp_path / "cache"), shared=shared):
            yield folder

    return call


def test_the_same_search_is_opened_again(opened: Open) -> None:
    for _ in range(2):
        with opened() as folder:
            assert folder.record.exists()


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"method": "pep"}, ConfigError, r"s: was started with another method \('dnis', now 'pep'\)"),
        ({"train": {"epochs": 9}}, ConfigError, r"another configuration \('epochs: 3', now 'epochs: 9'\)"),
        ("data", DataError, "the data files have changed since it was started"),
        ("stranger", ConfigError, r"is not a search \(it holds thesis.tex\)"),
    ],
)
def test_a_folder_of_something_else_is_refused_with_a_remedy(
    opened: Open, tmp_path: Path, change: Any, error: type[RecsysError], message: str
) -> None:
    if change == "stranger":
        (tmp_path / "s").mkdir()
        (tmp_path / "s" / "thesis.tex").write_text("")
    else:
        with opened():
            pass
    if change == "data":
        clicks(400, seed=9).write_parquet(tmp_path / "log" / "valid.parquet")
    with pytest.raises(error, match=rf"{message}.*; name another one with --name$"), opened(**dict_of(change)):
        pass


def dict_of(change: Any) -> dict[str, Any]:
    return change if isinstance(change, dict) else {}


def test_a_second_process_is_refused_unless_both_share_the_search(opened: Open) -> None:
    with (
        opened() as folder,
        pytest.raises(LockedError, match=f"{folder.path}: is being worked on by process"),
        opened(),
    ):
        pass
    with opened(shared=True), opened(shared=True) as folder, folder.changing():
        pass


def test_who_shares_a_search_waits_for_the_lock(opened: Open) -> None:
    with opened(shared=True) as folder:
        with folder.changing():
            waiting = threading.Thread(target=lambda: wait_for(folder))
            waiting.start()
            waiting.join(0.3)
            assert waiting.is_alive()
        waiting.join(5)
        assert not waiting.is_alive()


def wait_for(folder: SearchFolder) -> None:
    with folder.changing():
        pass


def test_what_was_measured_is_read_again(tmp_path: Path) -> None:
    folder = SearchFolder(tmp_path)
    for source in ("supernet", "trained"):
        one = Measured(candidate=Candidate(name="a"), serving_bytes=1, training_bytes=2, auc=0.7, source=source)
        folder.add(one)
    assert [(one.name, one.source) for one in folder.measured()] == [("a", "supernet"), ("a", "trained")]
    found = folder.find("a", "trained")
    assert found is not None
    assert (found.source, found.auc) == ("trained", 0.7)
    assert folder.find("b", "trained") is None


def test_what_has_left_the_front_is_removed_but_for_kept_values_that_a_configuration_names(tmp_path: Path) -> None:
    folder = SearchFolder(tmp_path / "s")
    yaml = "label: y\nfeatures: {{user: {{type: id, kept: {}}}}}\n"
    kept = {name: folder.kept / name / "user.parquet" for name in ("left", "stays", "before", "trained")}
    named = {
        folder.point_yaml("left"): "../kept/left/user.parquet",
        folder.point_yaml("stays"): "../kept/stays/user.parquet",
        folder.best_yaml: "kept/before/user.parquet",
        folder.run("left") / "config.yaml": f"{{file: {kept['trained'].absolute()}}}",
    }
    for path, text in (
        *((path, yaml.format(name)) for path, name in named.items()),
        *((one, "") for one in kept.values()),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    own = folder.point_yaml("of_the_user")
    own.write_text(yaml.format("../kept/stays/user.parquet"))
    folder.remove_points({"left", "never written"})
    assert {path.parent.name for path in folder.kept.glob("*/*")} == {"stays", "before", "trained"}
    assert not (folder.kept / "left").exists()
    assert {path.stem for path in folder.front.iterdir()} == {"stays", "of_the_user"}
