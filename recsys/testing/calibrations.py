"""The contract of a calibration: a suite that runs on any calibration, of this package or of your own.

    class TestMyCalibration(CalibrationContract):
        cases = calibration_cases(MyCalibration.section)

Dimension key: B rows.
"""

import io
import json
from collections.abc import Mapping
from typing import ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt
import pytest
import torch

from recsys.calibration import Calibration, Calibrator, build_calibration
from recsys.config.calibrations import CALIBRATIONS, CalibrationSection
from recsys.evaluation.probability import calibration_curve, logloss
from recsys.testing.cases import example_cases

__all__ = ["CalibrationContract", "calibration_cases"]


def calibration_cases(*sections: type[CalibrationSection]) -> dict[str, CalibrationSection]:
    """Return the examples of sections by a name for each; without sections, those of all registered calibrations."""
    cases = example_cases(CALIBRATIONS, sections)
    return {name: CALIBRATIONS[keys["method"]].model_validate(keys) for name, keys in cases.items()}


class Rows(NamedTuple):
    """Rows that were scored by a model whose log-odds are twice the right ones, and one too high."""

    probability: npt.NDArray[np.float64]
    label: npt.NDArray[np.float64]
    weight: npt.NDArray[np.float64]


def draw(num_rows: int = 4_000, *, seed: int = 0) -> Rows:
    """Draw rows, the same each time."""
    random = np.random.default_rng(seed)
    logit = random.normal(-1, 1, num_rows)
    label = (random.random(num_rows) < 1 / (1 + np.exp(-logit))).astype(np.float64)
    return Rows(1 / (1 + np.exp(-2 * logit - 1)), label, random.uniform(0.5, 2, num_rows))


class CalibrationContract:
    """Mixin of tests of calibrations. Name your subclass Test..., and say in `cases` which ones it tests.

    Attributes:
        cases: what to build, by a name for each; the examples of all registered calibrations by default.
    """

    pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.*` is (deprecated|not supported):DeprecationWarning")
    cases: ClassVar[Mapping[str, CalibrationSection]] = {}

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Run each test that takes `config` once for each case."""
        if "config" in metafunc.fixturenames:
            cases = self.cases or calibration_cases()
            metafunc.parametrize("config", cases.values(), ids=cases.keys())

    def test_it_gives_rising_float64_probabilities_before_and_after_it_is_fitted(
        self, config: CalibrationSection
    ) -> None:
        calibration, probability = build_calibration(config), torch.linspace(0, 1, 1001, dtype=torch.float64)
        for _ in range(2):
            found = calibration(probability, torch.zeros(1001, dtype=torch.int64))
            assert found.dtype == torch.float64
            assert found.shape == probability.shape
            assert ((found >= 0) & (found <= 1)).all()
            assert (found.diff() > 0).all()
            rows = draw()
            calibration.set_curves([calibration.fit(rows.probability, rows.label, None)])

    def test_the_order_of_scores_stays_so_that_no_ranking_metric_changes(self, config: CalibrationSection) -> None:
        found, rows = fitted(config, draw()), draw(20_000, seed=1)
        order = np.argsort(rows.probability, kind="stable")
        assert (np.diff(apply(found, rows.probability)[order]) >= 0).all()
        assert len(np.unique(apply(found, rows.probability))) >= len(np.unique(rows.probability)) - 10

    def test_rows_that_it_has_not_seen_are_better_calibrated(self, config: CalibrationSection) -> None:
        if not config.is_fitted:
            pytest.skip("fits nothing")
        found, rows = fitted(config, draw()), draw(20_000, seed=1)
        after = apply(found, rows.probability)
        assert logloss(after, rows.label) < logloss(rows.probability, rows.label)
        assert error_of(after, rows.label) < error_of(rows.probability, rows.label) / 2

    def test_the_unit_of_weights_does_not_matter(self, config: CalibrationSection) -> None:
        rows = draw()
        light = fitted(config, rows._replace(weight=rows.weight * 1e-6))
        np.testing.assert_allclose(
            apply(light, rows.probability), apply(fitted(config, rows), rows.probability), rtol=1e-6
        )

    @pytest.mark.parametrize("labels", ["separated", "opposite", "one of each", "between 0 and 1"])
    def test_odd_rows_give_probabilities_that_rise(self, config: CalibrationSection, labels: str) -> None:
        probability = np.array([0.0, 0.2, 0.8, 1.0]) if labels != "one of each" else np.array([0.5, 0.5, 0.5, 0.5])
        label = {"separated": [0, 0, 1, 1], "opposite": [1, 1, 0, 0], "one of each": [0, 1, 0, 1]}
        soft = label.get(labels, [0.3, 0.1, 0.5, 0.9])
        found = fitted(config, Rows(probability, np.array(soft, np.float64), np.ones(4)))
        after = apply(found, np.linspace(0.01, 0.99, 99))
        assert ((after > 0) & (after < 1)).all()
        assert (np.diff(after) > 0).all()

    def test_a_row_does_not_depend_on_its_batch(self, config: CalibrationSection) -> None:
        found, probability = fitted(config, draw()), draw(50, seed=2).probability
        alone = np.concatenate([apply(found, probability[i : i + 1]) for i in range(50)])
        assert np.array_equal(apply(found, probability), alone)
        assert len(apply(found, probability[:0])) == 0

    def test_what_is_no_number_stays_none(self, config: CalibrationSection) -> None:
        assert np.isnan(apply(fitted(config, draw()), np.array([0.5, np.nan]))).tolist() == [False, True]

    def test_the_same_rows_give_the_same_bits_and_json_keeps_them(self, config: CalibrationSection) -> None:
        rows = draw()
        both = [Calibrator(config, ["click", "buy"]) for _ in range(2)]
        columns = np.stack([rows.probability, rows.probability**2], axis=1)
        both[0].fit(columns, np.stack([rows.label, 1 - rows.label], axis=1), rows.weight)
        both[1].load(json.loads(json.dumps(both[0].fitted())))
        assert np.array_equal(both[0].calibrate(columns), both[1].calibrate(columns))
        assert np.array_equal(both[0].calibrate(columns)[:, 0], apply(fitted(config, rows), rows.probability))

    def test_each_row_is_calibrated_by_the_curve_that_it_is_told(self, config: CalibrationSection) -> None:
        alone = [fitted(config, draw(num_rows, seed=num_rows)) for num_rows in (4_000, 300, 50)]
        together, rows = build_calibration(config), draw(seed=9)
        together.set_curves([curve for one in alone for curve in one.curves()])
        number = np.random.default_rng(0).integers(0, 3, len(rows.label))
        expected = np.choose(number, [apply(one, rows.probability) for one in alone])
        assert np.array_equal(apply(together, rows.probability, number), expected)

    def test_a_field_of_one_value_gives_the_curve_of_all_rows_and_one_of_two_that_differ_a_curve_each(
        self, config: CalibrationSection
    ) -> None:
        if not config.is_fitted:
            pytest.skip("fits nothing")
        by_field, rows = config.model_copy(update={"by": "app"}), draw()
        one, plain, two = (
            Calibrator(by_field, ["click"]),
            Calibrator(config, ["click"]),
            Calibrator(by_field, ["click"]),
        )
        probability, label = rows.probability[:, None], rows.label[:, None]
        app = np.ones(len(rows.label), np.int64)
        one.fit(probability, label, rows.weight, app)
        plain.fit(probability, label, rows.weight)
        assert np.array_equal(one.calibrate(probability, app), plain.calibrate(probability))
        app[::2] = 2
        probability[::2] **= 3
        two.fit(probability, label, rows.weight, app)
        assert two.ids.tolist() == [1, 2]
        unseen = two.calibrate(probability, np.full_like(app, 3))
        assert np.array_equal(unseen, two.calibrate(probability, np.zeros_like(app)))
        for value in (1, 2):
            now, former = (
                error_of(found[app == value, 0], rows.label[app == value])
                for found in (two.calibrate(probability, app), unseen)
            )
            assert now < former

    def test_it_scripts_and_gives_the_same_after_it_was_saved(self, config: CalibrationSection) -> None:
        by_field = config.model_copy(update={"by": "app"}) if config.is_fitted else config
        calibrator, rows = Calibrator(by_field, ["click", "buy"]), draw()
        app = (rows.label + 1).astype(np.int64)  # so that they differ
        app[::3] = 3
        columns = np.stack([rows.probability, rows.probability**2], axis=1)
        calibrator.fit(columns, np.stack([rows.label, rows.label], axis=1), None, app)
        file = io.BytesIO()
        torch.jit.save(torch.jit.script(calibrator.eval()), file)
        file.seek(0)
        loaded = torch.jit.load(file)  # type: ignore[no-untyped-call]
        found = loaded(torch.from_numpy(columns), {"app": torch.from_numpy(app)}).numpy()
        assert np.array_equal(found, calibrator.calibrate(columns, app if config.is_fitted else None))

    def test_the_rounding_of_a_float32_logit_does_not_show(self, config: CalibrationSection) -> None:
        found, logit = fitted(config, draw(20_000)), np.linspace(-8, 8, 20_001).astype(np.float32)
        other = np.nextafter(logit, np.float32(9))
        low, high = (apply(found, 1 / (1 + np.exp(-one.astype(np.float64)))) for one in (logit, other))
        assert np.abs(high - low).max() < 1e-6


def fitted(config: CalibrationSection, rows: Rows) -> Calibration:
    """Return a calibration with the curve that weighted rows make."""
    calibration = build_calibration(config)
    calibration.set_curves([calibration.fit(rows.probability, rows.label, rows.weight)])
    return calibration


def apply(
    calibration: Calibration, probability: npt.NDArray[np.float64], curve: npt.NDArray[np.int64] | None = None
) -> npt.NDArray[np.float64]:
    """Return probabilities that are calibrated by these curves, the first one by default."""
    number = np.zeros(len(probability), np.int64) if curve is None else curve
    return np.asarray(calibration(torch.from_numpy(probability), torch.from_numpy(number)))


def error_of(probability: npt.NDArray[np.float64], label: npt.NDArray[np.float64]) -> float:
    """Return the expected calibration error over 20 bins of equal mass."""
    curve = calibration_curve(probability, label)
    return float((curve.weight * np.abs(curve.prediction - curve.label)).sum() / curve.weight.sum())
