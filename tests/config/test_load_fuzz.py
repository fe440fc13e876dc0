"""Thousands of broken configurations: each is understood or refused, soon and within little memory."""

import collections
import resource
import shutil
import signal
import time
import traceback
from pathlib import Path
from typing import Any

import pytest

from recsys.config import load_config, missing_columns, resolve, warnings_of
from recsys.errors import ConfigError
from recsys.registry import load_object
from tests.config.mutations import ROOT, mutated, shipped

COLUMNS = [f"C{i}" for i in range(1, 27)] + [f"I{i}" for i in range(1, 14)] + ["user", "item", "label", "x", "a", "b"]
CPU_SECONDS = 2
MEGABYTES = 200


class SlowError(BaseException):
    """A configuration took too long."""


def outcome(path: Path) -> str:
    """Load and resolve a file; return ok, refused, or what else happened."""
    try:
        resolved = resolve(load_config(path), COLUMNS)
        missing_columns(resolved, COLUMNS)
        warnings_of(resolved)
    except ConfigError as error:
        return "refused" if str(error).splitlines()[0].endswith("in the configuration") else f"odd: {error}"
    except SlowError:
        return "slow"
    except Exception:
        return traceback.format_exc(limit=-4)
    return "ok"


def _interrupt(*_: Any) -> None:
    raise SlowError


def _memory() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def fuzz(folder: Path, first: int, count: int) -> tuple[dict[int, str], dict[str, int], float, float]:
    """Return the bad outcomes by seed, the counts of good ones, and the most seconds and megabytes of any."""
    load_object("recsys.towers:Tower")  # some name a class, which imports torch
    shutil.copytree(ROOT / "feature_configs", folder / "feature_configs")
    path = folder / "pipelines" / "fuzzed" / "run.yaml"
    path.parent.mkdir(parents=True)
    files = shipped()
    bad: dict[int, str] = {}
    counts: collections.Counter[str] = collections.Counter()
    slowest = largest = 0.0
    signal.signal(signal.SIGPROF, _interrupt)
    for seed in range(first, first + count):
        path.write_bytes(mutated(files[seed % len(files)], seed))
        memory, began = _memory(), time.process_time()
        signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)
        found = outcome(path)
        signal.setitimer(signal.ITIMER_PROF, 0)
        slowest, largest = max(slowest, time.process_time() - began), max(largest, _memory() - memory)
        if found in ("ok", "refused") and _memory() - memory < MEGABYTES:
            counts[found] += 1
        else:
            bad[seed] = found
    return bad, counts, slowest, largest


@pytest.mark.proof
def test_five_thousand_broken_configurations_are_understood_or_refused(tmp_path: Path) -> None:
    bad, counts, slowest, largest = fuzz(tmp_path, 0, 5000)
    print(f"{dict(counts)}, slowest {slowest:.2f} s of CPU time, most memory {largest:.0f} MB")
    assert not bad, "\n".join(f"seed {seed}: {found}" for seed, found in list(bad.items())[:5])


def test_some_broken_configurations_are_understood_or_refused(tmp_path: Path) -> None:
    bad, counts, *_ = fuzz(tmp_path, 100_000, 60)
    assert not bad, "\n".join(f"seed {seed}: {found}" for seed, found in bad.items())
    assert counts["ok"]
    assert counts["refused"]
