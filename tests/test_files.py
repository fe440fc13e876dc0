import errno
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from recsys import files
from recsys.errors import LockedError
from recsys.files import atomic_folder, atomic_path, locked, replace_folder, write_atomic, write_json, write_together


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_replaced_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a.txt"
    write_atomic(path, "first\n")
    write_atomic(path, "second: ü\n")
    assert path.read_text(encoding="utf-8") == "second: ü\n"
    assert names(path.parent) == ["a.txt"]


def test_json_is_indented_and_ends_with_a_newline(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"a": [1]})
    assert (tmp_path / "a.json").read_text() == '{\n  "a": [\n    1\n  ]\n}\n'


def test_content_that_is_no_json_leaves_the_former_file(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", 1)
    with pytest.raises(TypeError):
        write_json(tmp_path / "a.json", {"a": Path()})
    assert json.loads((tmp_path / "a.json").read_text()) == 1


@pytest.mark.parametrize("is_folder", [False, True])
def test_a_block_that_raises_leaves_the_former_path(is_folder: bool, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("former")

    def interrupted() -> None:
        with atomic_path(tmp_path / "a") as temporary:
            temporary.mkdir() if is_folder else temporary.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert names(tmp_path) == ["a"]
    assert (tmp_path / "a").read_text() == "former"


def test_files_of_one_report_are_written_together_or_not_at_all(tmp_path: Path) -> None:
    pages = {tmp_path / "report.html": "<p>", tmp_path / "out" / "slices.csv": "a,b"}
    write_together(pages)
    assert {path: path.read_text() for path in pages} == pages
    with pytest.raises(UnicodeEncodeError):
        write_together({tmp_path / "report.html": "<b>", tmp_path / "out" / "slices.csv": "\ud800"})
    assert {path: path.read_text() for path in pages} == pages
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["out", "report.html", "slices.csv"]


def test_a_block_that_writes_nothing_leaves_nothing(tmp_path: Path) -> None:
    with atomic_path(tmp_path / "a"):
        pass
    assert names(tmp_path) == []


def test_a_file_of_the_user_is_never_taken_for_a_temporary_one(tmp_path: Path) -> None:
    of_the_user = ["a.tmp", ".a.tmp", ".a.old", ".draft-a-0"]
    for name in of_the_user:
        (tmp_path / name).write_text("mine")
    write_atomic(tmp_path / "a", "whole")
    with atomic_folder(tmp_path / "b") as new:
        (new / "file").touch()
    assert names(tmp_path) == sorted([*of_the_user, "a", "b"])


@pytest.mark.parametrize("length", [1, 255])
def test_a_name_may_be_as_long_as_the_file_system_allows(length: int, tmp_path: Path) -> None:
    write_atomic(tmp_path / ("a" * length), "whole")
    assert names(tmp_path) == ["a" * length]


def test_a_folder_appears_when_the_block_ends_and_replaces_a_former_one(tmp_path: Path) -> None:
    for content in ("first", "second"):
        with atomic_folder(tmp_path / "a") as draft:
            (draft / content).touch()
            assert not (tmp_path / "a" / content).exists()
        assert names(tmp_path / "a") == [content]
    assert names(tmp_path) == ["a"]


def test_a_folder_stays_as_it_was_when_the_block_raises(tmp_path: Path) -> None:
    (tmp_path / "a" / "former").mkdir(parents=True)

    def fails() -> None:
        with atomic_folder(tmp_path / "a") as draft:
            (draft / "half").touch()
            raise OSError("no room")

    with pytest.raises(OSError, match="no room"):
        fails()
    assert (names(tmp_path), names(tmp_path / "a")) == (["a"], ["former"])


@pytest.mark.parametrize(("is_whole", "kept"), [(True, "theirs"), (False, "ours")])
def test_a_complete_folder_of_another_process_is_kept(is_whole: bool, kept: str, tmp_path: Path) -> None:
    with atomic_folder(tmp_path / "a", is_complete=lambda _: is_whole) as draft:
        (draft / "ours").touch()
        with atomic_folder(tmp_path / "a") as other:
            (other / "theirs").touch()
    assert (names(tmp_path), names(tmp_path / "a")) == (["a"], [kept])


@pytest.fixture(params=["one step", "two steps"])
def _rename(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the file system swap two folders in one step, or not, as NFS does not."""
    if request.param == "two steps":
        monkeypatch.setattr(files, "_exchange", lambda first, second: False)


@pytest.mark.usefixtures("_rename")
def test_replacing_a_folder_keeps_the_former_one_if_there_is_no_new_one(tmp_path: Path) -> None:
    for name in ("new", "a"):
        (tmp_path / name / name).mkdir(parents=True)
    replace_folder(tmp_path / "new", tmp_path / "a")
    assert (names(tmp_path), names(tmp_path / "a")) == (["a"], ["new"])
    with pytest.raises(FileNotFoundError):
        replace_folder(tmp_path / "missing", tmp_path / "a")
    assert (names(tmp_path), names(tmp_path / "a")) == (["a"], ["new"])


@pytest.mark.usefixtures("_rename")
def test_ctrl_c_while_a_folder_is_replaced_leaves_one_of_the_two(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a" / "former").mkdir(parents=True)
    rename = Path.rename

    def interrupted(path: Path, target: Path) -> Path:
        rename(path, target)
        if path == tmp_path / "a":
            raise KeyboardInterrupt
        return target

    monkeypatch.setattr(Path, "rename", interrupted)
    with suppress(KeyboardInterrupt), atomic_folder(tmp_path / "a") as new:
        (new / "ours").touch()
    assert (names(tmp_path), len(names(tmp_path / "a"))) == (["a"], 1)


@pytest.mark.usefixtures("_rename")
def test_a_folder_that_many_write_at_once_is_there_at_every_moment_and_whole(tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    folder.mkdir()
    (folder / "whose").write_text("nobody's")

    def write(whose: int) -> None:
        for _ in range(20):
            with atomic_folder(folder) as new:
                (new / "whose").write_text(str(whose))
                (new / str(whose)).touch()

    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(write, whose) for whose in range(4)]:
            done.result()
    assert names(tmp_path) == ["bundle"]
    assert names(folder) == sorted([(folder / "whose").read_text(), "whose"])


def test_the_name_of_a_link_stays_with_the_link(tmp_path: Path) -> None:
    (tmp_path / "version-1" / "former").mkdir(parents=True)
    (tmp_path / "current").symlink_to("version-1")
    with atomic_folder(tmp_path / "current") as new:
        (new / "ours").touch()
    assert (names(tmp_path), names(tmp_path / "version-1")) == (["current", "version-1"], ["ours"])


def test_what_was_about_to_be_replaced_when_a_process_was_killed_is_put_back(tmp_path: Path) -> None:
    kept = tmp_path / f"{files.DRAFT}0" / "former" / "a" / "whole"
    kept.mkdir(parents=True)
    lock = tmp_path / f"{files.DRAFT}0" / "lock"
    lock.touch()
    os.utime(lock, (0, 0))
    write_atomic(tmp_path / "b", "")
    assert (names(tmp_path), names(tmp_path / "a")) == (["a", "b"], ["whole"])


NUMBERS = [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EMFILE, errno.ENAMETOOLONG, errno.EIO]


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize(
    "error",
    [
        lambda number, draft: OSError(number, os.strerror(number)),
        lambda number, draft: OSError(number, os.strerror(number), str(draft)),
        lambda number, draft: OSError(number, f"Error writing bytes to file. Detail: [errno {number}] some words"),
        lambda number, draft: OSError(f"{os.strerror(number)} (os error {number})"),
        lambda number, draft: pl.exceptions.ComputeError(f"parquet: {os.strerror(number)} (os error {number})"),
    ],
    ids=["python", "of the draft", "pyarrow", "polars", "polars in its own error"],
)
def test_what_the_system_refuses_names_the_file_and_not_its_draft(
    error: Callable[[int, Path], Exception], number: int, tmp_path: Path
) -> None:
    with pytest.raises(OSError) as refused, atomic_path(tmp_path / "a") as temporary:  # noqa: PT011 - checked below
        raise error(number, temporary)
    assert (refused.value.errno, refused.value.filename) == (number, str(tmp_path / "a"))
    assert refused.value.strerror == os.strerror(number)


def test_an_error_that_is_not_the_systems_stays_what_it_is(tmp_path: Path) -> None:
    with pytest.raises(pl.exceptions.ComputeError), atomic_path(tmp_path / "a"):
        raise pl.exceptions.ComputeError("lengths do not match")
    with pytest.raises(FileNotFoundError) as refused, atomic_path(tmp_path / "a"):
        (tmp_path / "other").read_text()
    assert refused.value.filename == str(tmp_path / "other")


LOCKS = """
import sys, time
from pathlib import Path
from recsys.files import locked
with locked(Path(sys.argv[1]), "here: is being written"):
    print("locked", flush=True)
    time.sleep(60)
"""


def test_a_lock_dies_with_its_process_and_says_who_holds_it_before(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    with subprocess.Popen([sys.executable, "-c", LOCKS, str(lock)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "locked\n"
        holder = rf"here: is being written by process {process.pid} on {re.escape(socket.gethostname())} since "
        with pytest.raises(LockedError, match=holder), locked(lock, "here: is being written"):
            pass
        process.send_signal(signal.SIGKILL)
    with locked(lock, "here"):
        assert lock.exists()
        with pytest.raises(LockedError, match=f"^there by process {os.getpid()} on"), locked(lock, "there"):
            pass
    assert names(tmp_path) == []


def test_a_lock_file_that_its_holder_deletes_before_it_is_locked_is_opened_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = tmp_path / "lock"
    flock, calls = files.fcntl.flock, []

    def deleted_before(file: Any, operation: int) -> None:
        calls.append(operation)
        if len(calls) == 1:
            lock.unlink()
        flock(file, operation)

    monkeypatch.setattr(files.fcntl, "flock", deleted_before)
    with locked(lock, "here"), pytest.raises(LockedError), locked(lock, "there"):
        pass
    assert len(calls) == 3


def test_of_many_only_one_holds_a_lock(tmp_path: Path) -> None:
    holders: list[int] = []
    most = []

    def work() -> None:
        for _ in range(50):
            with suppress(LockedError), locked(tmp_path / "lock", "here"):
                holders.append(1)
                most.append(len(holders))
                holders.pop()

    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(work) for _ in range(4)]:
            done.result()
    assert max(most) == 1


WRITES_FOREVER = """
import sys, time
from pathlib import Path
from recsys.files import atomic_folder
with atomic_folder(Path(sys.argv[1])):
    print("writing", flush=True)
    time.sleep(60)
"""


def test_drafts_of_killed_processes_are_removed_and_those_of_living_ones_are_not(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WRITES_FOREVER, str(tmp_path / "a")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "writing\n"
        (draft,) = tmp_path.iterdir()
        an_hour_ago = time.time() - 3600
        os.utime(draft / "lock", (an_hour_ago, an_hour_ago))
        with atomic_folder(tmp_path / "b"):
            pass
        assert draft.exists()
        process.send_signal(signal.SIGKILL)
    with atomic_folder(tmp_path / "c"):
        pass
    assert names(tmp_path) == ["b", "c"]
