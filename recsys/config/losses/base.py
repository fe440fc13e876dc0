"""The base of the sections of all losses."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from recsys.config.section import CLASS_PATH, CustomSection, Section

__all__ = ["CustomLoss", "LossSection"]


class LossSection(Section):
    """Base of the sections of all losses. A subclass states its name as `name: Literal["name"]`."""

    examples: ClassVar[Mapping[str, Mapping[str, Any]]] = {"": {}}
    """Keys of losses that the contract suite of `recsys.testing` builds: name -> keys."""

    if TYPE_CHECKING:
        name: str  # each section states its own Literal


class CustomLoss(LossSection, CustomSection):
    """A loss of your own, named `package.module:Class`, that has no section; its other keys are passed on."""

    name: Annotated[str, Field(pattern=CLASS_PATH)]
