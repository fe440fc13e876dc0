"""What a command imports, and the CPU time it takes: each runs in a process of its own, on a log of a few rows."""

import json
import os
import re
import resource
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from tests.training.logs import write_config, write_log

__all__ = ["Start", "heaviest_imports", "prepare_folder", "start"]

CHILD = """
import json, os, sys
from recsys.cli import main
try:
    main()
except SystemExit as stop:
    code = stop.code
else:
    code = 0
files = {name: getattr(module, "__file__", None) for name, module in sys.modules.items() if "." not in name}
with open(os.environ["RECSYS_START"], "w") as report:
    json.dump({"code": code, "modules": sorted(sys.modules), "files": files}, report)
"""


class Start(NamedTuple):
    """How a command ran."""

    code: int
    cpu_seconds: float
    """Of the process and those that it started."""
    packages: frozenset[str]
    """Installed packages that were imported, by the names of their top modules, without ours and the interpreter's."""
    modules: frozenset[str]
    importtime: str
    """What `python -X importtime` has printed; empty if it was not asked."""


def prepare_folder(folder: Path) -> None:
    """Write a log, its config and one with a hashed table, and train a run and export it."""
    write_log(folder)
    write_config(folder / "run.yaml", train={"epochs": 1})
    table = {"features": ["user"], "scheme": "hash", "rows": 8}
    write_config(folder / "hashed.yaml", tables={"users": table})
    start(["train", "run.yaml", "--name", "one", "--device", "cpu"], folder)
    start(["export", "runs/one", "--out", "bundle"], folder)


def start(argv: list[str], folder: Path, *, with_times: bool = False) -> Start:
    """Run `recsys ARGV` in a folder."""
    report = folder / "start.json"
    environment = {**os.environ, "RECSYS_START": str(report), "OMP_NUM_THREADS": "1"}
    options = ["-X", "importtime"] if with_times else []
    command = [sys.executable, *options, "-c", CHILD, *argv]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    ended = subprocess.run(command, cwd=folder, env=environment, text=True, capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    found = json.loads(report.read_text())
    packages = {name for name, path in found["files"].items() if path and "site-packages" in path}
    return Start(
        found["code"] or 0,
        after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime,
        frozenset(name for name in packages if not name.startswith(("_", "recsys"))),
        frozenset(found["modules"]),
        ended.stderr if with_times else "",
    )


def heaviest_imports(importtime: str, count: int = 8) -> list[tuple[float, str]]:
    """Return the seconds that each package's own modules took to import, the largest first."""
    seconds: dict[str, float] = {}
    for micros, name in re.findall(r"^import time:\s+(\d+) \|\s+\d+ \|\s+(\S+)", importtime, re.MULTILINE):
        package = name.split(".")[0]
        seconds[package] = seconds.get(package, 0.0) + int(micros) / 1e6
    return sorted(((value, name) for name, value in seconds.items()), reverse=True)[:count]
