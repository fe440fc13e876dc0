"""Curves of the values of a feature: on the made log, and by hand."""

import json

import numpy as np
import polars as pl
import pytest

from recsys.calibration import Calibrator, Floats
from recsys.calibration.by_value import LEAST_ROWS, MOST_VALUES, find_values
from recsys.config.calibrations import CALIBRATIONS
from recsys.config.calibrations.isotonic import IsotonicSection
from recsys.config.calibrations.platt import PlattSection
from recsys.data.synthetic.log import make_chunk
from recsys.data.synthetic.shop import PLANTED_APP, Settings, Shop
from recsys.evaluation.probability import logloss
from recsys.evaluation.reliability import expected_calibration_error

ROWS = 60_000


class Made:
    """The log of `demo-data --planted-slice`, scored by what knows all of it but the slice; even rows are fitted on."""

    def __init__(self) -> None:
        self.frame = pl.DataFrame(make_chunk(Shop(rows=ROWS, seed=1, settings=Settings(planted_slice=True)), 0).table)
        self.label = self.frame["clicked"].to_numpy().astype(np.float64)
        known = make_chunk(Shop(rows=ROWS, seed=1, settings=Settings()), 0)
        self.score = known.probability.astype(np.float64)
        self.label_of_score = pl.DataFrame(known.table)["clicked"].to_numpy().astype(np.float64)
        """Labels without the planted slice: the scores are their probabilities, whatever slice is looked at."""
        self.is_held_out = np.arange(ROWS) % 2 == 1

    def ids(self, column: str) -> np.ndarray:
        return self.frame[column].rank("dense").cast(pl.Int64).to_numpy()

    def calibrated(self, method: str, by: str | None, label: Floats | None = None) -> Floats:
        """Return calibrated scores of the rows that are held out."""
        calibrator = Calibrator(CALIBRATIONS[method].model_validate({"method": method, "by": by}), ["label"])
        id_R = None if by is None else self.ids(by)
        label = self.label if label is None else label
        fitted, held_out = ~self.is_held_out, self.is_held_out
        calibrator.fit(self.score[fitted, None], label[fitted, None], None, None if id_R is None else id_R[fitted])
        found: Floats = calibrator.calibrate(self.score[held_out, None], None if id_R is None else id_R[held_out])[:, 0]
        return found


@pytest.fixture(scope="module")
def made() -> Made:
    return Made()


@pytest.mark.parametrize("method", ["isotonic", "platt"])
def test_the_error_of_the_planted_slice_is_halved_on_held_out_rows_and_no_other_gets_worse(
    method: str, made: Made
) -> None:
    label, app = made.label[made.is_held_out], made.frame["app"].to_numpy()[made.is_held_out]
    scores = {
        "uncalibrated": made.score[made.is_held_out],
        "all rows": made.calibrated(method, None),
        "by app": made.calibrated(method, "app"),
    }
    errors = {
        (name, value): expected_calibration_error(score[app == value], label[app == value]).value
        for name, score in scores.items()
        for value in np.unique(app)
    }
    losses = {name: logloss(score, label) for name, score in scores.items()}
    for name in scores:
        of_apps = ", ".join(f"app {value} {errors[name, value]:.4f}" for value in np.unique(app))
        print(f"{method}, {name}: ECE of {of_apps}; logloss {losses[name]:.5f}")
    before, of_all, by_app = (errors[name, PLANTED_APP] for name in scores)
    assert before > 0.1
    assert of_all > before / 2
    assert by_app < before / 2
    for value in set(app) - {PLANTED_APP}:
        assert errors["by app", value] < errors["all rows", value] + 0.005  # chance alone gives about 0.01
    assert losses["by app"] < losses["all rows"] - 0.002


@pytest.mark.parametrize("by", ["segment", "position", "category", "item_id", "user_id"])
@pytest.mark.parametrize("method", ["isotonic", "platt"])
def test_where_the_values_of_a_feature_are_calibrated_alike_their_curves_do_no_harm(
    method: str, by: str, made: Made
) -> None:
    held_out = made.label_of_score[made.is_held_out]
    before, after = (logloss(made.calibrated(method, one, made.label_of_score), held_out) for one in (None, by))
    print(f"{method} by {by}: logloss {before:.5f} -> {after:.5f}")
    assert after < before + 2e-5


def test_values_with_few_rows_without_weight_or_unknown_ones_have_no_curve() -> None:
    sizes = {0: 80, 3: LEAST_ROWS, 5: LEAST_ROWS - 1, 7: LEAST_ROWS, 9: 60}
    id_R = np.random.default_rng(0).permutation(np.repeat(list(sizes), list(sizes.values())))
    weight_R = np.where((id_R == 7) & (np.cumsum(id_R == 7) == 1), 0.0, 1.0)
    assert find_values(id_R, unknown=0).ids.tolist() == [3, 7, 9]
    assert find_values(id_R, weight_R, unknown=0).ids.tolist() == [3, 9]
    assert find_values(id_R, unknown=9).ids.tolist() == [0, 3, 7]
    found = find_values(id_R, unknown=0)
    for number, (start, size) in enumerate(zip(found.starts, found.sizes, strict=True)):
        rows = found.order[start : start + size]
        assert rows.tolist() == np.flatnonzero(id_R == found.ids[number]).tolist()


def test_a_feature_with_a_million_values_has_no_more_curves_than_are_allowed() -> None:
    id_R = np.concatenate([np.repeat(np.arange(1, 2 * MOST_VALUES + 1), LEAST_ROWS), np.arange(10**6, 2 * 10**6)])
    assert len(find_values(id_R, unknown=0).ids) == 0  # there are 200 rows for each value that may have one
    id_R[: 200 * 5000] = np.repeat(np.arange(1, 5001), 200)
    assert find_values(id_R, unknown=0).ids.tolist() == list(range(1, 5001))


def test_halves_have_every_other_row_of_each_value() -> None:
    id_R = np.random.default_rng(0).permutation(np.repeat([0, 1, 2, 3], [31, 51, 60, 77]))
    whole = find_values(id_R, unknown=0)
    assert whole.ids.tolist() == [1, 2, 3]
    halves = [whole.half(which) for which in (0, 1)]
    assert sorted(np.concatenate([half.order for half in halves]).tolist()) == list(range(len(id_R)))
    for half in halves:
        [(rows, numbers)] = half.chunks()
        assert sorted(rows.tolist()) == sorted(half.order[id_R[half.order] > 0].tolist())
        assert numbers.tolist() == id_R[rows].tolist()


def test_a_value_whose_labels_are_all_the_same_has_the_curve_of_all_rows() -> None:
    random = np.random.default_rng(0)
    id_R = random.integers(1, 4, 6000)
    score = random.random(6000)
    label = (random.random(6000) < np.where(id_R == 1, score**3, score)).astype(np.float64)
    label[id_R == 2] = 0
    calibrator = Calibrator(IsotonicSection(method="isotonic", by="app"), ["label"])
    calibrator.fit(score[:, None], label[:, None], None, id_R)
    assert calibrator.ids.tolist() == [1, 3]
    found, unseen = (calibrator.calibrate(score[:, None], one) for one in (id_R, np.full(6000, 8)))
    np.testing.assert_array_equal(found[id_R == 2], unseen[id_R == 2])
    assert (found[id_R == 1] != unseen[id_R == 1]).mean() > 0.9


def test_tasks_share_the_values_but_not_what_their_curves_count() -> None:
    random = np.random.default_rng(0)
    id_R, score = random.integers(1, 3, 4000), random.uniform(0.05, 0.95, (4000, 2))
    differs = np.where(id_R == 1, score[:, 0] ** 3, score[:, 0])
    label = np.stack([random.random(4000) < differs, random.random(4000) < score[:, 1]], axis=1).astype(np.float64)
    calibrator = Calibrator(PlattSection(method="platt", by="app"), ["click", "buy"])
    calibrator.fit(score, label, None, id_R)
    assert calibrator.ids.tolist() == [1, 2]
    assert (calibrator.shares[1:, 0] > 0.9).all()
    assert (calibrator.shares[1:, 1] < 0.8).all()
    kept = json.loads(json.dumps(calibrator.fitted()))
    again = Calibrator(PlattSection(method="platt", by="app"), ["click", "buy"])
    again.load(kept)
    np.testing.assert_array_equal(again.calibrate(score, id_R), calibrator.calibrate(score, id_R))
    for damage in (
        {"ids": [2, 1]},
        {"ids": [1]},
        {"tasks": {**kept["tasks"], "buy": {**kept["tasks"]["buy"], "shares": [0.5, 1.5]}}},
        {"tasks": {**kept["tasks"], "buy": {**kept["tasks"]["buy"], "curves": kept["tasks"]["buy"]["curves"][1:]}}},
    ):
        with pytest.raises(ValueError, match="must"):
            again.load({**kept, **damage})


def test_the_curves_of_a_field_that_tells_nothing_are_left_out(made: Made) -> None:
    random = np.random.default_rng(0)
    calibrator = Calibrator(IsotonicSection(method="isotonic", by="app"), ["label"])
    calibrator.fit(made.score[:, None], made.label_of_score[:, None], None, random.integers(1, 30, ROWS))
    assert calibrator.ids.tolist() == []
    assert calibrator.shares.tolist() == [[0]]
