"""The section of Platt scaling."""

from typing import ClassVar, Literal

from recsys.config.calibrations.base import CalibrationSection

__all__ = ["PlattSection"]


class PlattSection(CalibrationSection):
    """A slope and a shift of the log-odds: two numbers a task, for few validation rows."""

    implementation: ClassVar[str | type] = "recsys.calibration.platt:Platt"

    method: Literal["platt"]
