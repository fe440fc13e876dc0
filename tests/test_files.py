import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from recsys.files import atomic_folder, atomic_path, replace_folder, write_atomic, write_json


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


def test_a_block_that_writes_nothing_leaves_nothing(tmp_path: Path) -> None:
    with atomic_path(tmp_path / "a"):
        pass
    assert names(tmp_path) == []


def test_what_a_killed_process_left_is_written_over(tmp_path: Path) -> None:
    (tmp_path / ".a.tmp").mkdir()
    (tmp_path / ".a.tmp" / "half").touch()
    write_atomic(tmp_path / "a", "whole")
    assert names(tmp_path) == ["a"]


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


def test_replacing_a_folder_keeps_the_former_one_until_the_new_one_is_there(tmp_path: Path) -> None:
    for name in ("new", "a", ".a.old"):
        (tmp_path / name / name).mkdir(parents=True)
    replace_folder(tmp_path / "new", tmp_path / "a")
    assert (names(tmp_path), names(tmp_path / "a")) == (["a"], ["new"])
    with pytest.raises(FileNotFoundError):
        replace_folder(tmp_path / "missing", tmp_path / "a")
    assert names(tmp_path / ".a.old") == ["new"]


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
