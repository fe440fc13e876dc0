"""One section a file: the keys of a calibration. The calibrations live in `recsys.calibration`.

`CALIBRATIONS` is the one registry of calibrations. The union of sections in a configuration, its JSON Schema, messages
and the contract suite are made from it.
"""

from typing import Annotated

from recsys.config.calibrations.base import CalibrationSection, CustomCalibration
from recsys.config.section import SectionRegistry
from recsys.registry import load_object

__all__ = ["CALIBRATIONS", "AnyCalibration", "CalibrationSection", "CustomCalibration"]

CALIBRATIONS: SectionRegistry[CalibrationSection] = SectionRegistry(
    "calibration",
    key="method",
    default="none",
    base="recsys.calibration.base:Calibration",
    custom=CustomCalibration,
    takes_name=True,
)
"""Sections of all calibrations by name, in the order in which they are listed to users."""
AnyCalibration = Annotated[CalibrationSection, CALIBRATIONS]

for _section in ("none:NoCalibrationSection", "platt:PlattSection", "isotonic:IsotonicSection"):  # one each
    CALIBRATIONS.add(load_object(f"{__name__}.{_section}"))
