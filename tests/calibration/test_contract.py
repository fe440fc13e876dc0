"""What every calibration promises, whichever it is."""

from recsys.testing import CalibrationContract


class TestCalibrations(CalibrationContract):
    """All calibrations that are registered."""
