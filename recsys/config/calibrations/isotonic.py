"""The section of isotonic regression."""

from typing import ClassVar, Literal

from recsys.config.calibrations.base import CalibrationSection

__all__ = ["IsotonicSection"]


class IsotonicSection(CalibrationSection):
    """An increasing curve of any form, for many validation rows."""

    implementation: ClassVar[str | type] = "recsys.calibration.isotonic:Isotonic"

    method: Literal["isotonic"]
