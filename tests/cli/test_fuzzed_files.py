"""Odd and damaged data files through the commands: exit codes 0 and 2, and as many scores as there are rows."""

import json
from collections import Counter
from pathlib import Path

import polars as pl
import pytest

from tests.cli.command_line import Recsys
from tests.sources.csv_reference import RefusedError
from tests.sources.fuzz_files import make
from tests.sources.odd_data import DataSet
from tests.sources.reference import UnsureError, read_split

MODEL = {
    "model": {"tower": "mlp", "dim": 4, "mlp": [4]},
    "train": {"epochs": 1, "batch_size": 32, "dense_optimizer": {"lr": 0.001}, "precision": 32},
}


def rows_of(folder: Path, data_set: DataSet) -> int | None:
    """Return how many test rows an independent reader finds; None if it cannot tell."""
    try:
        paths = [folder / name for name in data_set.data["test"]]
        return len(read_split(paths, ["y"], data_set.data).values["y"])
    except (RefusedError, UnsureError):
        return None


@pytest.mark.proof
def test_odd_and_damaged_files_go_through_all_commands_or_are_refused(
    recsys: Recsys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends: Counter[str] = Counter()
    for seed in range(200_000, 200_060):
        folder = tmp_path / str(seed)
        folder.mkdir()
        monkeypatch.chdir(folder)
        data_set, _ = make(folder, seed)
        (folder / "run.yaml").write_text(json.dumps(data_set.config() | MODEL))
        test = [folder / name for name in data_set.data["test"]]
        commands = {
            "check": ["check", "run.yaml", "--data-dir", folder],
            "train": ["train", "run.yaml", "--data-dir", folder, "--name", "a"],
            "evaluate": ["evaluate", "runs/a", *test, "--by", "*"],
            "report": ["evaluate", "runs/a", "--report", "report"],
            "compare": ["compare", "runs/a", "runs/a/predictions/test.parquet", "--by", "*"],
            "importance": ["importance", "runs/a", "--repeats", "1", "--rows", "100"],
            "export": ["export", "runs/a", "--out", "bundle"],
            "predict": ["predict", "bundle", *test, "--out", "scores.parquet"],
        }
        for name, command in commands.items():
            ended = recsys(*command)
            ends[f"{name}: {ended.code}"] += 1
            assert ended.code in (0, 2), (seed, name, ended.err)
            assert "Traceback" not in ended.err, (seed, name, ended.err)
            if ended.code == 2:
                assert "error: " in ended.err, (seed, name, ended.err)
                if name == "train":
                    break
        expected = rows_of(folder, data_set)
        if Path("scores.parquet").exists() and expected is not None:
            assert pl.read_parquet("scores.parquet").height == expected, seed
    print(dict(sorted(ends.items())))
