"""The base of the sections of all calibrations."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from recsys.config.section import CLASS_PATH, CustomSection, Section

__all__ = ["CalibrationSection", "CustomCalibration"]


class CalibrationSection(Section):
    """Base of the sections of all calibrations. A subclass states its name as `method: Literal["name"]`."""

    is_fitted: ClassVar[bool] = True
    """Whether there is something to fit on the validation rows."""
    examples: ClassVar[Mapping[str, Mapping[str, Any]]] = {"": {}}
    """Keys of calibrations that the contract suite of `recsys.testing` builds: name -> keys."""

    if TYPE_CHECKING:
        method: str  # each section states its own Literal

    by: Annotated[str, Field(min_length=1)] | None = None
    """Feature with one id a row, each value of which gets a curve of its own; one for all rows when not given."""


class CustomCalibration(CalibrationSection, CustomSection):
    """A calibration of your own, named `package.module:Class`, that has no section; its other keys are passed on."""

    method: Annotated[str, Field(pattern=CLASS_PATH)]
