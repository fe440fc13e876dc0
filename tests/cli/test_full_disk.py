"""Every command that writes, on a disk that is full at twenty moments of it: from the first byte to the last."""

import json
import os
import shutil
import signal
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pytest

from recsys.files import DRAFT
from tests.forked import Ended, Forks, forks
from tests.full_disk import MANY_FILES, PAGE, Disk, Room, mounted_disk
from tests.training.logs import clicks, steady, write_config, write_log

pytestmark = pytest.mark.proof

MOMENTS = 20


class Command(NamedTuple):
    """A command that writes to `disk/`."""

    argv: str
    former: str | None = None
    """What lies on the disk before, in the folder of the test; it stays as it is while the command fails."""
    env: tuple[tuple[str, str], ...] = ()


COMMANDS = {
    "prepare": Command("tables run.yaml --cache-dir disk/cache"),
    "train": Command("train run.yaml --cache-dir cache --runs-dir disk --name run"),
    "train with its cache": Command("train run.yaml --cache-dir disk/cache --runs-dir disk --name run"),
    "resume": Command("train run.yaml --cache-dir cache --resume disk/stopped", former="stopped"),
    "export": Command("export runs/done --out disk/bundle"),
    "export anew": Command("export runs/done --out disk/bundle", former="bundle"),
    "export with little scratch": Command("export runs/done --out out-bundle", env=(("TMPDIR", "disk"),)),
    "predict": Command("predict bundle many.parquet --out disk/scores.parquet"),
    "predict anew": Command("predict bundle many.parquet --out disk/scores.parquet", former="scores.parquet"),
    "evaluate": Command("evaluate runs/done many.parquet --out disk/scores.parquet"),
    "evaluate with little scratch": Command("evaluate runs/done many.parquet", env=(("TMPDIR", "disk"),)),
    "report": Command("evaluate runs/done --by * --report disk/report"),
    "report anew": Command("evaluate runs/done --report disk/report", former="report"),
    "report of a comparison": Command("compare runs/done runs/done/predictions/test.parquet --report disk/report"),
    "importance": Command("importance runs/done --cache-dir disk/cache --repeats 1"),
    "plan": Command("plan run.yaml --cache-dir cache --world 2 --out disk/plan.json"),
    "compare": Command(
        "compare-schemes run.yaml --cache-dir cache --schemes full,hash --budgets 0.5 --seeds 1 --out disk/compared"
    ),
    "init": Command("init train.parquet --label click"),
    "demo-data": Command("demo-data disk/demo --rows 2000"),
    "convert": Command("checkpoint convert runs/done disk/model.pt"),
    "convert to a checkpoint": Command("checkpoint convert runs/done disk/converted --to checkpoint"),
}


@pytest.fixture(scope="module")
def fork() -> Iterator[Forks]:
    with forks() as started:
        yield started


@pytest.fixture(scope="module")
def folder(fork: Forks, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log, its configuration, prepared data, a run, a bundle, scores and a run that was stopped by SIGTERM."""
    folder = write_log(tmp_path_factory.mktemp("folder"))
    write_config(folder / "run.yaml", train={"epochs": 4, "checkpoint_minutes": 0.0})
    clicks(60_000, seed=9).write_parquet(folder / "many.parquet")
    for line in [
        "train run.yaml --cache-dir cache --name done",
        "export runs/done --out bundle",
        "predict bundle many.parquet --out scores.parquet",
        "evaluate runs/done --by item --report report",
    ]:
        ended = fork.run(*line.split(), folder=folder)
        assert ended.code == 0, ended.err
    stop = "train run.yaml --cache-dir cache --runs-dir . --name stopped"
    assert fork.run(*stop.split(), folder=folder, while_running=partial(stop_after_an_epoch, folder)).code == 75
    return folder


def stop_after_an_epoch(folder: Path, pid: int) -> None:
    while not (folder / "stopped" / "metrics.jsonl").exists():  # or the test's time runs out
        time.sleep(0.005)
    os.kill(pid, signal.SIGTERM)


@pytest.fixture
def disk(folder: Path) -> Iterator[Disk]:
    with mounted_disk(folder / "disk") as disk:
        yield disk
    (folder / "disk").rmdir()


def run(fork: Forks, command: Command, folder: Path) -> Ended:
    return fork.run(*command.argv.split(), folder=folder, **{name: str(folder / value) for name, value in command.env})


def put_former(command: Command, folder: Path) -> None:
    if command.former is not None:
        source, target = folder / command.former, folder / "disk" / command.former
        (shutil.copytree if source.is_dir() else shutil.copyfile)(source, target)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_full_disk_is_one_line_and_costs_nothing_but_time(
    name: str, fork: Forks, folder: Path, disk: Disk, capsys: pytest.CaptureFixture[str]
) -> None:
    command = COMMANDS[name]
    put_former(command, folder)
    before = disk.used()
    with disk.watched() as most:
        ended = run(fork, command, folder)
    assert ended.code == 0, ended.err
    expected = results(folder)
    needed = Room(most[-1].bytes - before.bytes, most[-1].files - before.files)
    refused = 0
    for moment in moments(needed):
        empty(disk)
        put_former(command, folder)
        disk.leave(moment)
        ended = run(fork, command, folder)
        disk.make_room()
        where = f"{name} at moment {moment}: {ended.err}"
        assert ended.code in (0, 2), where
        if ended.code == 2:
            refused += 1
            check_refusal(ended, where)
            check_former(command, folder, where)
            after = run(fork, again(command, folder), folder)
            assert after.code == 0, f"{where}\nthen: {after.err}"
        assert results(folder) == expected, where
        assert not [path for path in disk.names() if DRAFT in path], where
    with capsys.disabled():
        print(f"\n{name}: needs {needed}; refused at {refused} of {len(moments(needed))} moments")
    assert refused or not needed.bytes


@pytest.mark.parametrize("name", COMMANDS)
def test_a_disk_that_cannot_be_written_is_one_line(name: str, fork: Forks, folder: Path, disk: Disk) -> None:
    command = COMMANDS[name]
    put_former(command, folder)
    before = disk.names()
    disk.forbid_writing()
    ended = run(fork, command, folder)
    if command.argv.startswith("init"):  # it writes nothing
        assert ended.code == 0
        return
    assert ended.code == 2, ended.err
    check_refusal(ended, name, "Read-only file system; it is mounted read-only")
    assert disk.names() == before


def moments(needed: Room) -> list[Room]:
    """Return the room that is left at each moment: of bytes, then of files where bytes are too few for as many."""
    sizes = sorted({number * needed.bytes // MOMENTS // PAGE * PAGE for number in range(MOMENTS)})
    kept = sizes if len(sizes) == MOMENTS else sizes[: MOMENTS * 2 // 3]
    numbers = range(min(MOMENTS - len(kept), needed.files))
    return [Room(size, MANY_FILES) for size in kept] + [Room(2**26, number) for number in numbers]


def check_refusal(ended: Ended, where: str, reason: str = "No space left on device") -> None:
    assert "Traceback" not in ended.err, where
    (line,) = (line for line in ended.err.splitlines() if line.startswith("error: "))
    assert reason in line, where
    assert "disk" in line.split(reason)[0], where


def check_former(command: Command, folder: Path, where: str) -> None:
    """What lay there before is as it was; a run that was being resumed may have come further."""
    if command.former not in (None, "stopped"):
        former, now = folder / command.former, folder / "disk" / command.former
        assert contents(now) == contents(former), where


def again(command: Command, folder: Path) -> Command:
    """Return the command that is to succeed when there is room: a run that has begun is resumed."""
    if "--name run" in command.argv and (folder / "disk" / "run" / "config.yaml").exists():
        return command._replace(argv=command.argv.replace("--runs-dir disk --name run", "--resume disk/run"))
    return command


def results(folder: Path) -> dict[str, object]:
    """Return what a command has written, as far as it does not depend on the clock."""
    found: dict[str, object] = {}
    for path in sorted((folder / "disk").rglob("*")):
        name = str(path.relative_to(folder / "disk"))
        if path.name in ("report.html", "slices.csv"):
            found[name] = path.read_bytes()
        elif path.name == "metrics.json":
            found[name] = steady(json.loads(path.read_text()))
        elif path.suffix in (".parquet", ".arrow") or path.name == "plan.json":
            found[name] = path.stat().st_size
    return found


def contents(path: Path) -> dict[str, bytes]:
    paths = [found for found in path.rglob("*") if found.is_file()] if path.is_dir() else [path]
    return {os.path.relpath(found, path): found.read_bytes() for found in paths}


def empty(disk: Disk) -> None:
    for path in disk.path.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
