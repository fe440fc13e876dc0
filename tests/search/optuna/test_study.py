import subprocess
import sys
import time
from pathlib import Path

import optuna
import pytest

from recsys.errors import ConfigError, RecsysError
from recsys.search.optuna.study import open_storage, open_study
from tests.search.optuna.postgres import postgres_server


def study_in(storage: str | None, folder: Path, **facts: str) -> optuna.Study:
    return open_study(
        open_storage(storage, folder / "study.journal"),
        "mine",
        directions=["maximize", "minimize"],
        sampler=optuna.samplers.RandomSampler(),
        facts=facts,
    )


@pytest.mark.parametrize("storage", [None, "{}/other/study.journal", "sqlite:///{}/study.db"])
def test_a_study_is_opened_again_where_it_is_stored(storage: str | None, tmp_path: Path) -> None:
    url = storage and storage.format(tmp_path)
    study_in(url, tmp_path, configuration="a").enqueue_trial({"x": 1})
    again = study_in(url, tmp_path, configuration="a")
    assert len(again.trials) == 1
    assert again.metric_names == ["validation AUC", "bytes of the tables when served"]


def test_a_study_of_another_configuration_is_refused(tmp_path: Path) -> None:
    study_in(None, tmp_path, configuration="a", data="b")
    with pytest.raises(ConfigError, match="--storage: its study 'mine' was started with another data"):
        study_in(None, tmp_path, configuration="a", data="c")


@pytest.mark.parametrize(
    ("storage", "message"),
    [
        ("sqlite:////no/such/x.db", "sqlite:////no/such/x.db cannot be used: unable to open database file"),
        ("postgresql://me:secret@127.0.0.1:1/trials?sslmode=disable",
         "postgresql://me@127.0.0.1:1/trials cannot be used: connection failed: "),
        ("nosuch://me:secret@host/x", "nosuch://me@host/x cannot be used: Can't load plugin: "),
        ("mysql://me:secret@host/x", "mysql://me@host/x cannot be used: Failed to import DB access module"),
        ("postgresql://me:secret@host:port/x", "postgresql://me@host:port/x cannot be used: "),
        ("/proc/no/study.journal", "/proc/no/study.journal cannot be used: "),
    ],
)  # fmt: skip
def test_a_storage_that_cannot_be_reached_is_one_line_without_its_password(
    storage: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(RecsysError) as error:
        study_in(storage, tmp_path)
    assert str(error.value).startswith(f"--storage: {message}")
    assert "secret" not in str(error.value)
    assert "\n" not in str(error.value)


OPEN_AT_ONCE = """
import sys, time
from pathlib import Path
from recsys.search.optuna.study import open_storage

time.sleep(max(0.0, float(sys.argv[2]) - time.time()))
open_storage(sys.argv[1], Path("unused"))
"""


def open_at_once(url: str) -> list[str]:
    """Open a database from several processes at the same moment; return what they say of errors."""
    start = str(time.time() + 5)
    command = [sys.executable, "-W", "ignore", "-c", OPEN_AT_ONCE, url, start]
    opened = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    return [process.communicate(timeout=120)[1] for process in opened]


@pytest.mark.slow
def test_several_that_open_an_empty_database_at_once_all_get_it(tmp_path: Path) -> None:
    assert open_at_once(f"sqlite:///{tmp_path}/study.db") == [""] * 4
    with postgres_server() as url:
        assert open_at_once(url) == [""] * 4
