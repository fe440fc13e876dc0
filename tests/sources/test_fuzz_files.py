"""Thousands of odd and damaged data files: each is read as an independent reader does, or refused by name."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.sources.fuzz_files import main

GOOD = ("read", "refused", "unsure")


def fuzz(folder: Path, first: int, end: int) -> dict[int, tuple[str, str]]:
    """Return the outcome of each data set; a process that ends early is started again after the one it ended with."""
    found: dict[int, tuple[str, str]] = {}
    while first < end:
        command = [sys.executable, "-m", "tests.sources.fuzz_files", str(folder), str(first), str(end - first)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        found |= {line["seed"]: (line["outcome"], line["detail"]) for line in lines if "outcome" in line}
        if done.returncode == 0:
            break
        first = max(line["begins"] for line in lines if "begins" in line)
        where = "the reference" if "reference" in lines[-1] else "the product"
        found[first] = (f"{where} ended with {done.returncode}", done.stderr[-2000:])
        first += 1
    return found


@pytest.mark.proof
def test_two_thousand_odd_or_damaged_data_sets_are_read_right_or_refused(tmp_path: Path) -> None:
    found = fuzz(tmp_path, 0, 2000)
    bad = {seed: outcome for seed, outcome in found.items() if outcome[0] not in GOOD}
    print(f"{len(found)} data sets: {dict(Counter(kind for kind, _ in found.values()))}")
    assert len(found) == 2000
    assert not bad, "\n".join(f"seed {seed}: {kind}: {detail}" for seed, (kind, detail) in list(bad.items())[:5])


@pytest.mark.slow
def test_some_odd_or_damaged_data_sets_are_read_right_or_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(tmp_path, 100_000, 30)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    outcomes = [line for line in lines if "outcome" in line]
    assert [line for line in outcomes if line["outcome"] not in GOOD] == []
    assert {"read", "refused"} <= {line["outcome"] for line in outcomes}
