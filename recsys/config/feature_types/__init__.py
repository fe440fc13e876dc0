"""Feature types: what the columns of a click log mean.

A type is one section here (its keys in the file and what others ask of it), one handler in `recsys.features.types`
(polars), one in `recsys.export.types` (torch), and one entry of `FEATURE_TYPES`.
"""

from typing import Annotated

from recsys.config.feature_types.base import ColumnSection, FeatureSection, Field, InputForm, Kind, ListLimit
from recsys.config.feature_types.bucket import BucketFeature
from recsys.config.feature_types.cross import CrossFeature
from recsys.config.feature_types.custom import CustomFeature
from recsys.config.feature_types.datetime import PART_SIZES, DatetimeFeature, DatetimePart, TimeUnit
from recsys.config.feature_types.id import IdFeature
from recsys.config.feature_types.ids import IdsFeature
from recsys.config.feature_types.number import NumberFeature, NumberTransform
from recsys.config.feature_types.sequence import SequenceFeature
from recsys.config.section import SectionRegistry

__all__ = [
    "FEATURE_TYPES",
    "PART_SIZES",
    "BucketFeature",
    "ColumnSection",
    "CrossFeature",
    "CustomFeature",
    "DatetimeFeature",
    "DatetimePart",
    "Feature",
    "FeatureSection",
    "Field",
    "IdFeature",
    "IdsFeature",
    "InputForm",
    "Kind",
    "ListLimit",
    "NumberFeature",
    "NumberTransform",
    "SequenceFeature",
    "TimeUnit",
    "register_feature_type",
]

FEATURE_TYPES: SectionRegistry[FeatureSection] = SectionRegistry(
    "feature type", key="type", base="recsys.features.types.base:FeatureHandler", custom=CustomFeature
)
"""The sections of all feature types, by the name that `type` has in the file."""
FEATURE_TYPES.add(IdFeature)
FEATURE_TYPES.add(IdsFeature)
FEATURE_TYPES.add(SequenceFeature)
FEATURE_TYPES.add(NumberFeature)
FEATURE_TYPES.add(BucketFeature)
FEATURE_TYPES.add(CrossFeature)
FEATURE_TYPES.add(DatetimeFeature)

Feature = Annotated[FeatureSection, FEATURE_TYPES]
"""A feature of any registered type."""


def register_feature_type(handler: type) -> None:
    """Make a feature type of the user's own known under the name that its section declares.

    In a file, `type: NAME` means this type from now on. `type: package.module:Class`, with the import path of the
    handler, needs no call.

    Args:
        handler: subclass of `recsys.features.types.FeatureHandler`, whose class attribute `section` is the type's
            subclass of `FeatureSection`.

    Raises:
        ConfigError: the section is missing, does not declare `type: Literal["NAME"]`, or another type has the name.
    """
    FEATURE_TYPES.add_class(handler)
