"""Units of features that are looked at as one, since none of them can change without the others."""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from recsys.config.resolved import ResolvedConfig
from recsys.errors import ConfigError
from recsys.registry import did_you_mean

__all__ = ["Unit", "chosen_units", "join_units", "units_of"]

JOIN = "+"
"""Stands between the names of features that are to be looked at as one."""


class Unit(NamedTuple):
    """Features that are looked at as one."""

    features: tuple[str, ...]
    """Features that read one column, or the sequences of one behaviour, whose entries are the same events."""
    made_of_them: tuple[str, ...]
    """Features that are made of them and of others, such as crosses: they change with them."""

    @property
    def name(self) -> str:
        """Names of its features."""
        return f" {JOIN} ".join(self.features)

    @property
    def all(self) -> tuple[str, ...]:
        """All features that change."""
        return self.features + self.made_of_them


def units_of(resolved: ResolvedConfig) -> list[Unit]:
    """Return all units, in the order of their first features; every feature is in the `features` of one of them.

    A cross is a unit of its own, and also changes with each feature that it is made of: so it is when features are left
    out. A sequence does not change with what it is `of`, whose values it only shares.
    """
    made_of: dict[str, list[str]] = {}
    for name, section in resolved.features.items():
        for other in section.inputs(name):
            made_of.setdefault(other, []).append(name)
    return [_unit(group, made_of) for group in _groups(resolved)]


def chosen_units(resolved: ResolvedConfig, chosen: Sequence[str] | None) -> list[Unit]:
    """Return the units of the chosen features, "a+b" for those that are to be looked at as one; None for all.

    Raises:
        ConfigError: there is no such feature, or none is chosen.
    """
    units = units_of(resolved)
    if chosen is None:
        return units
    by_feature = {name: unit for unit in units for name in unit.features}
    found = [join_units([_find(by_feature, name) for name in _names(by_feature, text)]) for text in chosen]
    if not found:
        raise ConfigError("features: must name at least one feature, got none")
    return list(dict.fromkeys(found))


def join_units(units: Sequence[Unit]) -> Unit:
    """Return several units as one."""
    features = dict.fromkeys(name for unit in units for name in unit.features)
    made = dict.fromkeys(name for unit in units for name in unit.made_of_them if name not in features)
    return Unit(tuple(features), tuple(made))


def _groups(resolved: ResolvedConfig) -> list[list[str]]:
    """Return the features of each unit: those that a chain of columns and behaviours connects."""
    above: dict[tuple[str, str], tuple[str, str]] = {}

    def top(node: tuple[str, str]) -> tuple[str, str]:
        while above.setdefault(node, node) != node:
            node = above[node]
        return node

    for name, section in resolved.features.items():
        for kind, value in {"column": section.column_of(name), "behaviour": section.behaviour_of(name)}.items():
            if value is not None:
                above[top((kind, value))] = top(("feature", name))
    groups: dict[tuple[str, str], list[str]] = {}
    for name in resolved.features:
        groups.setdefault(top(("feature", name)), []).append(name)
    return list(groups.values())


def _unit(features: Sequence[str], made_of: Mapping[str, Sequence[str]]) -> Unit:
    made = dict.fromkeys(one for name in features for one in made_of.get(name, ()) if one not in features)
    return Unit(tuple(features), tuple(made))


def _names(known: Collection[str], text: str) -> list[str]:
    return [text] if text in known else [name.strip() for name in text.split(JOIN)]


def _find(by_feature: Mapping[str, Unit], name: str) -> Unit:
    if name not in by_feature:
        known = ", ".join(by_feature)
        raise ConfigError(f"features: the run has no feature {name!r}{did_you_mean(name, by_feature)}; it has {known}")
    return by_feature[name]
