"""Check the names of features, and the references between them."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping

from recsys.config.feature_types import FeatureSection
from recsys.config.globs import is_glob, matches, overlaps
from recsys.config.problems import KeyPath, Problem, did_you_mean

__all__ = ["check_features"]

RESERVED = "__"
"""Begins the columns of labels, weights and groups in prepared data."""


def check_features(features: Mapping[str, FeatureSection], *, unsure: Collection[str] = ()) -> Iterator[Problem]:
    """Yield what is wrong with each feature.

    Args:
        features: all features that could be read, by name or glob.
        unsure: names of features that exist, but could not be read.
    """
    for name, feature in features.items():
        for key, text in _own_problems(name, feature):
            yield Problem(("features", name, *key), text)
        for key, reference in feature.references():
            if text := _misreference(reference, features, unsure, by_used=feature.use):
                yield Problem(("features", name, *key), text)
    yield from _aligned(features)
    if not unsure:
        yield from _lonely(features)


def _own_problems(name: str, feature: FeatureSection) -> Iterator[tuple[KeyPath, str]]:
    if name.startswith(RESERVED):
        yield (), f"a name must not begin with {RESERVED}, which marks labels and weights in prepared data"
    if is_glob(name):
        yield from _glob(name, feature)
    yield from feature.check()


def _glob(name: str, feature: FeatureSection) -> Iterator[tuple[KeyPath, str]]:
    if feature.column_of(name) is None:
        yield (), f"a {feature.type} reads no column, so its name must not be a glob"
    elif getattr(feature, "column", None) is not None:
        yield ("column",), "has no sense for a glob, whose features each read the column they match"


def _misreference(name: str, features: Mapping[str, FeatureSection], unsure: Collection[str], *, by_used: bool) -> str:
    """Say why a name is not that of an id feature; "" if it is, or may be one."""
    if is_glob(name):
        return f"must name one feature, got the glob {name!r}"
    if any(overlaps(name, other) for other in unsure):
        return ""
    found = features.get(name) or next((f for glob, f in features.items() if matches(name, glob)), None)
    if found is None:
        return f"must name an id feature, got {name!r}{did_you_mean(name, [*features, *unsure])}"
    if by_used and not found.use:
        return f"must name a feature that is used, but {name!r} has `use: false`; so must this one, or leave that out"
    return "" if found.can_be_referenced else f"must name an id feature, but {name!r} is of type {found.type}"


def _aligned(features: Mapping[str, FeatureSection]) -> Iterator[Problem]:
    """Check that the sequences of one behaviour are cut to one length."""
    first: dict[str, tuple[str, int]] = {}
    for name, feature in ((name, feature) for name, feature in features.items() if feature.use):
        behaviour, limit = feature.behaviour_of(name), feature.list_limit()
        if behaviour is not None and limit is not None:
            leader, expected = first.setdefault(behaviour, (name, limit.max_len))
            if limit.max_len != expected:
                text = f"must be {expected}, as of {leader!r}, which has the same behaviour, got {limit.max_len}"
                yield Problem(("features", name, "max_len"), text)


def _lonely(features: Mapping[str, FeatureSection]) -> Iterator[Problem]:
    """Check that the named behaviour of a sequence without `of` is that of another one, to whose events it adds."""
    behaviours = {name: of for name, feature in features.items() if (of := feature.behaviour_of(name)) is not None}
    sizes = Counter(behaviours.values())
    for name, behaviour in behaviours.items():
        adds = behaviour != name and features[name].owner(name) == name and not is_glob(name)
        if adds and sizes[behaviour] == 1:
            others = [other for known, other in behaviours.items() if known != name]
            text = (
                f"no other sequence has the behaviour {behaviour!r}{did_you_mean(behaviour, others)}; or leave it out"
            )
            yield Problem(("features", name, "behaviour"), text)
