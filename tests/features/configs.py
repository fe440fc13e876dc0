"""Resolved configurations from keyword arguments."""

from typing import Any

from recsys.config import Config, ResolvedConfig, resolve
from recsys.config.feature_types import Feature


def resolved(*columns: str, config: dict[str, Any] | None = None, **features: Feature) -> ResolvedConfig:
    config = {"label": "clicked", "features": features} | (config or {})
    return resolve(Config(**config), [*columns, *features, "clicked"])
