"""`type: package.module:Class`, where the class cannot be found or has no section."""

from collections.abc import Iterator
from typing import Annotated, ClassVar

from pydantic import ConfigDict, Field

from recsys.config.feature_types.base import FeatureSection
from recsys.config.problems import KeyPath
from recsys.config.section import CLASS_PATH
from recsys.errors import ConfigError
from recsys.registry import load_object

__all__ = ["CustomFeature"]


class CustomFeature(FeatureSection):
    """A feature type of the user's own whose class has no section: never valid, but located."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="allow")

    type: Annotated[str, Field(pattern=CLASS_PATH)]
    """Import path of a subclass of `recsys.features.types.FeatureHandler`."""

    def check(self) -> Iterator[tuple[KeyPath, str]]:
        """Yield why the class cannot be taken."""
        try:
            load_object(self.type)
        except ConfigError as error:
            yield ("type",), str(error)
        else:
            yield ("type",), f"{self.type} must have an attribute `section`, a subclass of FeatureSection"
