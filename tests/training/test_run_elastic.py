"""A run that changes its number of ranks and its sharding in the middle of epochs ends as one that did not."""

from itertools import chain
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.ranks.run_on_ranks import run_on_ranks
from tests.training.logs import clicks
from tests.training.sessions import Session, session

pytestmark = pytest.mark.ranks

STEPS = 14
"""Batches of an epoch."""


def sharded(kind: str) -> dict[str, Any]:
    return {
        "weight": "weight",
        "tables": {name: {"features": [name], "dim": 8, "sharding": kind} for name in ("user", "item")},
        "model": {"tower": "mlp", "dim": 8, "mlp": [16]},
        "train": {
            "batch_size": 37,
            "epochs": 3,
            "sparse_optimizer": {"name": "adagrad", "lr": 0.2},
            "dense_optimizer": {"lr": 0.003},
            "lr_schedule": {"name": "plateau", "factor": 0.5},
            "early_stopping": {"metric": "auc", "patience": 2},
        },
    }


def test_row_wise_on_two_then_table_wise_on_one_then_column_wise_on_two(uneven: Path, tmp_path: Path) -> None:
    whole = session(uneven, tmp_path / "whole", tmp_path / "0", sharded("table_wise"), None, False)
    folder = tmp_path / "run"
    first = run_on_ranks(session, uneven, folder, tmp_path / "1", sharded("row_wise"), 5, False)
    second = session(uneven, folder, tmp_path / "2", sharded("table_wise"), 3 * 5 + 1, True)
    third = run_on_ranks(session, uneven, folder, tmp_path / "3", sharded("column_wise"), None, True)
    assert [len(part.seen) for part in (*first, second)] == [5, 5, 15]  # alone, it also asks after a validation
    assert first[0].metrics is None
    assert second.metrics is None
    assert third[0].metrics == third[1].metrics
    assert whole.metrics is not None
    steady = [name for name in whole.metrics if name not in ("seconds", "rows_per_second")]
    found = {name: third[0].metrics[name] for name in steady}
    assert found == pytest.approx({name: whole.metrics[name] for name in steady}, abs=1e-6)
    batches = joined(first) + joined([second]) + joined(third)
    weights = sorted(pl.read_parquet(uneven / "train.parquet")["weight"].cast(pl.Float32).to_list())
    for epoch in range(3):
        rows = [weight for batch in batches[epoch * STEPS : (epoch + 1) * STEPS] for weight in batch]
        assert sorted(rows) == weights, f"epoch {epoch + 1}"
    assert [sorted(batch) for batch in batches] == [sorted(batch) for batch in whole.seen]


def test_two_ranks_follow_the_schedule_of_the_rates_as_one_does(uneven: Path, tmp_path: Path) -> None:
    config = sharded("row_wise")
    config["train"]["lr_schedule"] = {"name": "cosine", "warmup": 0.3}
    alone = session(uneven, tmp_path / "alone", tmp_path / "1", config, None, False)
    both = run_on_ranks(session, uneven, tmp_path / "both", tmp_path / "2", config, None, False)
    assert alone.metrics is not None
    figures = {name: value for name, value in alone.metrics.items() if "test." in name or "valid." in name}
    assert {name: both[0].metrics[name] for name in figures} == pytest.approx(figures, abs=1e-5)


@pytest.mark.parametrize("by", [None, "user"])
def test_two_ranks_calibrate_as_one_does(by: str | None, uneven: Path, tmp_path: Path) -> None:
    config = sharded("row_wise") | {"calibration": {"method": "isotonic", "by": by}}
    alone = session(uneven, tmp_path / "alone", tmp_path / "1", config, None, False)
    both = run_on_ranks(session, uneven, tmp_path / "both", tmp_path / "2", config, None, False)
    assert alone.metrics is not None
    assert both[0].metrics == both[1].metrics
    figures = {name: value for name, value in alone.metrics.items() if "test." in name or "valid." in name}
    assert "before_calibration.test.logloss" in figures
    assert {name: both[0].metrics[name] for name in figures} == pytest.approx(figures, abs=1e-5)


def few_rows(folder: Path) -> Path:
    """Write six rows for training, three for validation and five for test, of both classes."""
    folder.mkdir()
    for seed, (split, num_rows) in enumerate({"train": 6, "valid": 3, "test": 5}.items()):
        clicks(num_rows, seed=seed).with_columns(click=pl.int_range(num_rows) % 2).write_parquet(
            folder / f"{split}.parquet"
        )
    return folder


def sessions(log: Path, scratch: Path, cases: dict[str, dict[str, Any]]) -> dict[str, Session]:
    """Train each case whole, as one rank of those there are."""
    return {name: session(log, scratch / name, scratch / f"{name}-config", cases[name], None, False) for name in cases}


def test_a_rank_without_any_row_and_an_epoch_of_one_batch(tmp_path: Path) -> None:
    """Of a batch of one row the last rank has it: the first has none in the whole training."""
    log = few_rows(tmp_path / "log")
    base = sharded("row_wise") | {
        "model": {"tower": "din", "dim": 8, "attention": [8], "mlp": [8], "activation": "dice"}
    }
    cases = {str(size): base | {"train": base["train"] | {"batch_size": size}} for size in (1, 4, 1000)}
    alone = sessions(log, tmp_path / "one", cases)
    both = run_on_ranks(sessions, log, tmp_path / "two", cases)
    assert [len(batch) for batch in both[0]["1"].seen] == [0] * len(alone["1"].seen)
    assert [len(batch) for batch in both[0]["1000"].seen] == [3] * len(alone["1000"].seen)
    for case, expected in alone.items():
        assert [sorted(batch) for batch in joined([rank[case] for rank in both])] == [sorted(b) for b in expected.seen]
        assert both[0][case].metrics is not None
        assert expected.metrics is not None
        for name in ("test.logloss", "valid.logloss", "test.auc", "test.rows", "epochs"):
            assert both[0][case].metrics[name] == pytest.approx(expected.metrics[name], abs=1e-6), (case, name)


def joined(ranks: list[Session]) -> list[list[float]]:
    """Return the rows of each batch over all ranks."""
    return [list(chain(*parts)) for parts in zip(*(rank.seen for rank in ranks), strict=True)]
