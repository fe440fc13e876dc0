"""What a type cannot say about features: keys that exclude each other, and references between features."""

from collections.abc import Collection, Iterator, Mapping, Sequence

from recsys.config.features import (
    BucketFeature,
    CrossFeature,
    DatetimeFeature,
    Feature,
    IdFeature,
    IdsFeature,
    SequenceFeature,
)
from recsys.config.globs import is_glob, matches, overlaps
from recsys.config.problems import KeyPath, Problem, did_you_mean

__all__ = ["check_features"]

RESERVED = "__"
"""Begins the columns of labels, weights and groups in prepared data."""


def check_features(features: Mapping[str, Feature], *, unsure: Collection[str] = ()) -> Iterator[Problem]:
    """Yield what is wrong with each feature.

    Args:
        features: by name or glob.
        unsure: features that exist, but could not be read.
    """
    for name, feature in features.items():
        for key, text in _own_problems(name, feature):
            yield Problem(("features", name, *key), text)
        for key, reference in _references(feature):
            if text := _misreference(reference, features, unsure):
                yield Problem(("features", name, *key), text)
    yield from _aligned(features)


def _own_problems(name: str, feature: Feature) -> Iterator[tuple[KeyPath, str]]:
    if name.startswith(RESERVED):
        yield (), f"a name must not begin with {RESERVED}, which marks labels and weights in prepared data"
    if is_glob(name):
        yield from _glob(feature)
    if isinstance(feature, IdFeature | IdsFeature | CrossFeature):
        yield from _vocabulary(feature)
    elif isinstance(feature, BucketFeature):
        yield from _bucket(feature)
    elif isinstance(feature, DatetimeFeature):
        yield from _datetime(feature)
    if isinstance(feature, CrossFeature):
        yield from _repeated("of", feature.of)


def _glob(feature: Feature) -> Iterator[tuple[KeyPath, str]]:
    if isinstance(feature, CrossFeature):
        yield (), "a cross reads no column, so its name must not be a glob"
    elif feature.column is not None:
        yield ("column",), "has no sense for a glob, whose features each read the column they match"


def _vocabulary(feature: IdFeature | IdsFeature | CrossFeature) -> Iterator[tuple[KeyPath, str]]:
    if feature.vocabulary == "learnt":
        return
    kind = "an open vocabulary" if feature.vocabulary == "open" else "a listed vocabulary"
    if feature.min_count > 1:
        yield ("min_count",), f"has no effect with {kind}; leave it out"
    if feature.max_size is not None:
        yield ("max_size",), f"has no effect with {kind}; leave it out"
    if isinstance(feature.vocabulary, tuple):
        yield from _repeated("vocabulary", feature.vocabulary)
        if len({type(value) for value in feature.vocabulary}) > 1:
            yield ("vocabulary",), "must be all integers or all text, as the column is"


def _bucket(feature: BucketFeature) -> Iterator[tuple[KeyPath, str]]:
    if (feature.boundaries is None) == (feature.quantiles is None):
        given = "none" if feature.quantiles is None else "both"
        yield (), f"needs exactly one of boundaries and quantiles, got {given}"
    boundaries = feature.boundaries or ()
    for index in range(1, len(boundaries)):
        if boundaries[index] <= boundaries[index - 1]:
            text = f"must be strictly increasing, got {boundaries[index - 1]:g} before {boundaries[index]:g}"
            yield ("boundaries", index), text


def _datetime(feature: DatetimeFeature) -> Iterator[tuple[KeyPath, str]]:
    yield from _repeated("parts", feature.parts)
    if feature.format is None:
        return
    if "%" not in feature.format:
        yield ("format",), f"must have fields such as %Y, got {feature.format!r}"
    if feature.unit != "s":
        yield ("unit",), "has no effect with a format; leave it out"


def _repeated(key: str, values: Sequence[object]) -> Iterator[tuple[KeyPath, str]]:
    seen = set()
    for index, value in enumerate(values):
        if value in seen:
            yield (key, index), f"{value!r} is listed twice"
        seen.add(value)


def _references(feature: Feature) -> Iterator[tuple[KeyPath, str]]:
    if isinstance(feature, SequenceFeature):
        yield ("of",), feature.of
    elif isinstance(feature, CrossFeature):
        yield from ((("of", index), name) for index, name in enumerate(feature.of))


def _misreference(name: str, features: Mapping[str, Feature], unsure: Collection[str]) -> str:
    """Say why a name is not that of an id feature; "" if it is, or may be one."""
    if is_glob(name):
        return f"must name one feature, got the glob {name!r}"
    if any(overlaps(name, other) for other in unsure):
        return ""
    found = features.get(name) or next((f for glob, f in features.items() if matches(name, glob)), None)
    if found is None:
        return f"must name an id feature, got {name!r}{did_you_mean(name, [*features, *unsure])}"
    return "" if isinstance(found, IdFeature) else f"must name an id feature, but {name!r} is of type {found.type}"


def _aligned(features: Mapping[str, Feature]) -> Iterator[Problem]:
    first: dict[str, tuple[str, SequenceFeature]] = {}
    for name, feature in features.items():
        if isinstance(feature, SequenceFeature):
            leader, other = first.setdefault(feature.behaviour or name, (name, feature))
            if feature.max_len != other.max_len:
                text = f"must be {other.max_len}, as of {leader!r}, which has the same behaviour, got {feature.max_len}"
                yield Problem(("features", name, "max_len"), text)
