"""Contract suites: what every scheme, tower, loss, metric and calibration must do, as mixins of pytest for your own.

Example, in a test file of yours::

    from recsys.testing import TowerContract, tower_cases
    from mine import Gate

    class TestGate(TowerContract):
        cases = tower_cases(Gate.section)
"""

import pytest

pytest.register_assert_rewrite(
    "recsys.testing.calibrations",
    "recsys.testing.losses",
    "recsys.testing.metrics",
    "recsys.testing.schemes",
    "recsys.testing.towers",
)

from recsys.testing.calibrations import CalibrationContract, calibration_cases  # noqa: E402
from recsys.testing.losses import LossContract, loss_cases  # noqa: E402
from recsys.testing.metrics import MetricContract  # noqa: E402
from recsys.testing.schemes import SchemeContract, scheme_cases  # noqa: E402
from recsys.testing.towers import TowerContract, tower_cases  # noqa: E402

__all__ = [
    "CalibrationContract",
    "LossContract",
    "MetricContract",
    "SchemeContract",
    "TowerContract",
    "calibration_cases",
    "loss_cases",
    "scheme_cases",
    "tower_cases",
]
