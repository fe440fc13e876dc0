"""Plans from keyword arguments."""

from typing import Any

from recsys.config import Config, Plan, resolve
from recsys.config.features import Feature


def plan(*columns: str, config: dict[str, Any] | None = None, **features: Feature) -> Plan:
    config = {"label": "clicked", "features": features} | (config or {})
    return resolve(Config(**config), [*columns, *features, "clicked"])
