"""Check the plain values of a configuration: types first, then meaning."""

from collections.abc import Collection, Mapping
from typing import Any

from pydantic import ValidationError

from recsys.config.check import check
from recsys.config.messages import explain, key_path
from recsys.config.problems import KeyPath, Problem
from recsys.config.run import Config

__all__ = ["validate"]


def validate(values: Mapping[str, Any]) -> tuple[Config | None, list[Problem]]:
    """Check types, then meaning: of all, or else of the sections whose types are right; sequences must be tuples."""
    try:
        config = Config.model_validate(values)
    except ValidationError as error:
        errors = error.errors(include_url=False)
        problems = explain(errors)
        broken = {_section(key_path(found["loc"])) for found in errors}
        sound = _without(values, broken)
        return None, problems + (check(Config.model_validate(sound), broken=broken) if sound else [])
    return config, check(config)


def _section(path: KeyPath) -> KeyPath:
    """Return the part of the file that a problem makes unusable: one feature, one table, or a whole section."""
    return path[:2] if path[:1] in (("features",), ("tables",)) else path[:1]


def _without(values: Mapping[str, Any], broken: Collection[KeyPath]) -> dict[str, Any] | None:
    """Return the configuration without its broken parts; None if there is too little left to check."""
    if () in broken:
        return None
    sound = {key: value for key, value in values.items() if (key,) not in broken}
    for key in ("features", "tables"):
        if isinstance(sound.get(key), Mapping):
            sound[key] = {name: value for name, value in sound[key].items() if (key, name) not in broken}
    sound.setdefault("label", "(broken)")
    return sound if sound.get("features") else None
