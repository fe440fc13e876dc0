"""One torch twin for each feature type: from canonical values to ids or numbers in the exported graph."""

from collections.abc import Mapping
from typing import Any

from recsys.config.feature_types import FeatureSection
from recsys.export.types.base import ExportedFeature, FieldsEncoder, StackedNumbers
from recsys.registry import load_class

__all__ = ["ExportedFeature", "FieldsEncoder", "StackedNumbers", "exported_of"]


def exported_of(features: Mapping[str, FeatureSection]) -> dict[str, ExportedFeature[Any]]:
    """Return the torch twin of each feature by its name, in order.

    Raises:
        ConfigError: the `exported` of a section names nothing that can be imported.
    """
    return {name: _load(type(feature))(name, feature) for name, feature in features.items()}


def _load(section: type[FeatureSection]) -> type[ExportedFeature[Any]]:
    return load_class(section.exported, ExportedFeature, where=f"{section.__name__}.exported")
