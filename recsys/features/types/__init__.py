"""One handler for each feature type: canonical form, fit, encoding, and what `recsys init` suggests (polars)."""

from collections.abc import Mapping
from typing import Any

from recsys.config.feature_types import FEATURE_TYPES, FeatureSection
from recsys.features.types.base import FeatureHandler, Fit, FixedFit, Offer
from recsys.registry import load_class

__all__ = ["FeatureHandler", "Fit", "FixedFit", "Offer", "handler_class", "handlers_of"]


def handler_class(section: type[FeatureSection]) -> type[FeatureHandler[Any]]:
    """Return the handler of a registered type."""
    found = section.implementation
    return load_class(found, FeatureHandler, where=section.__name__) if isinstance(found, str) else found


def handlers_of(features: Mapping[str, FeatureSection]) -> dict[str, FeatureHandler[Any]]:
    """Return the handler of each feature by its name, in order.

    Raises:
        ConfigError: `type` names a class that is no handler.
    """
    return {
        name: FEATURE_TYPES.implementation(feature, FeatureHandler, where=f"features.{name}.type")(name, feature)
        for name, feature in features.items()
    }
