from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from recsys.calibration import Calibrator
from recsys.judging import changed_scores
from recsys.judging.changed_scores import ChangedScores
from recsys.judging.units import chosen_units, join_units, units_of
from recsys.training.build import score_alone
from tests.training.logs import clicks, write_log
from tests.training.untrained import untrained


def sorted_scores(scores: np.ndarray) -> list[float]:
    return sorted(scores[:, 0].tolist())


def test_unchanged_rows_are_scored_as_in_an_evaluation(log: Path, tmp_path: Path) -> None:
    loaded, split = untrained(log, tmp_path)
    found, expected = ChangedScores(loaded, split, seed=3), score_alone(loaded, split)
    assert sorted_scores(found.whole) == sorted_scores(expected.probabilities)
    assert found.labels.sum() == expected.labels.sum()
    assert loaded.model.training


def test_units_are_permuted_alike_whatever_others_are_looked_at(
    log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded, split = untrained(log, tmp_path, weight="weight")
    scores = ChangedScores(loaded, split, repeats=2, seed=3)
    together = dict(scores.of(units_of(loaded.resolved)))
    monkeypatch.setattr(changed_scores, "MOST_BYTES", 1)  # a unit at a time
    again = ChangedScores(loaded, split, repeats=2, seed=3)
    for unit, found in again.of(chosen_units(loaded.resolved, ["price", "user", "item", "seen"])):
        for one, other in zip(found, together[unit], strict=True):
            np.testing.assert_array_equal(one, other)
        assert not np.array_equal(found[0], found[1])
    assert again.weights is not None
    np.testing.assert_array_equal(again.weights, scores.weights)


def test_blocks_have_equally_many_rows(log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changed_scores, "EVALUATION_ROWS", 150)  # of 400 rows
    loaded, split = untrained(log, tmp_path)
    scores = ChangedScores(loaded, split, seed=3)
    assert scores.block_rows == 134
    [(_, [found])] = scores.of(chosen_units(loaded.resolved, ["item"]))
    assert (found != scores.whole).mean() > 0.5
    reports: list[tuple[str, int, int | None]] = []
    list(scores.of(units_of(loaded.resolved), lambda *report: reports.append(report)))
    assert reports[-1] == ("scoring", 4 * 400, 4 * 400)
    assert len(reports) == 4 * 3


def test_rows_with_all_values_of_their_source_have_its_score(
    log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changed_scores, "EVALUATION_ROWS", 150)  # of 400 rows
    loaded, split = untrained(log, tmp_path)
    scores = ChangedScores(loaded, split, repeats=2, seed=3)
    [(_, found)] = scores.of([join_units(units_of(loaded.resolved))])
    for repeat, one in enumerate(found):
        np.testing.assert_allclose(one, scores.whole[scores.sources(repeat)], rtol=0, atol=1e-6)
    assert ChangedScores(loaded, split, method="drop").sources(0) is None


@pytest.mark.parametrize("method", ["permute", "drop"])
def test_the_curve_of_a_row_changes_with_the_feature_that_tells_it(
    method: changed_scores.Method, log: Path, tmp_path: Path
) -> None:
    changes = {"calibration": {"method": "platt", "by": "user"}}
    loaded, split = untrained(log, tmp_path, **changes)
    calibrator = Calibrator(loaded.resolved.config.calibration, ["label"])
    curves = [{"slope": [1.0], "shift": [shift]} for shift in (0.0, 20.0)]
    calibrator.load({"ids": [1], "tasks": {"label": {"shares": [1.0], "curves": curves}}})
    scores = ChangedScores(replace(loaded, calibrator=calibrator), split, method=method, repeats=2, seed=3)
    expected = score_alone(replace(loaded, calibrator=calibrator), split)
    assert sorted_scores(scores.whole) == sorted_scores(expected.probabilities)
    is_lifted = scores.whole > 1 - 1e-6
    assert 0 < is_lifted.mean() < 0.5
    [(_, of_price), (_, of_user)] = scores.of(chosen_units(loaded.resolved, ["price", "user"]))
    for repeat, (price, user) in enumerate(zip(of_price, of_user, strict=True)):
        np.testing.assert_array_equal(price > 1 - 1e-6, is_lifted)
        sources = scores.sources(repeat)
        np.testing.assert_array_equal(
            user > 1 - 1e-6, np.zeros_like(is_lifted) if sources is None else is_lifted[sources]
        )


def test_a_feature_with_one_value_changes_nothing(tmp_path: Path) -> None:
    log = write_log(tmp_path / "log")
    for split in ("train", "valid", "test"):
        path = log / f"{split}.parquet"
        clicks(400, seed=1).with_columns(item=pl.lit("only"), price=pl.lit(3.0)).write_parquet(path)
    loaded, split_rows = untrained(log, tmp_path)
    scores = ChangedScores(loaded, split_rows, repeats=2, seed=3)
    for _, found in scores.of(chosen_units(loaded.resolved, ["item", "price"])):
        for one in found:
            np.testing.assert_array_equal(one, scores.whole)
