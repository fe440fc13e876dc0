"""Check which field the curves of a calibration are told apart by."""

from collections.abc import Collection, Iterator, Mapping, Sequence

from recsys.config.feature_types import FeatureSection, Field
from recsys.config.globs import is_glob, matches, overlaps
from recsys.config.problems import Problem, did_you_mean
from recsys.config.run import Config

__all__ = ["check_calibration"]

MOST_NAMES = 20
"""Number of fields that a message lists."""


def check_calibration(config: Config, fields: Sequence[Field], *, unsure: Collection[str] = ()) -> Iterator[Problem]:
    """Yield what is wrong with `calibration.by`.

    Args:
        config: as loaded, or with its globs expanded.
        fields: of its features, those included that are not used.
        unsure: names of features that exist, but could not be read.
    """
    by = config.calibration.by
    if by is None:
        return
    if not config.calibration.is_fitted:
        text = f"has no effect with method {config.calibration.method}, which fits no curve; leave it out"
        yield Problem(("calibration", "by"), text)
    elif text := _misnamed(by, config.features, fields, unsure):
        yield Problem(("calibration", "by"), text)


def _misnamed(by: str, features: Mapping[str, FeatureSection], fields: Sequence[Field], unsure: Collection[str]) -> str:
    """Say why a name is not that of a field with one id a row; "" if it is, or may be one."""
    possible = [field.name for field in fields if field.kind == "id" and features[field.feature].use]
    rule = f"must name a feature that is used and has one id a row; {_listed(possible)}"
    if is_glob(by):
        return f"{rule}; got the glob {by!r}"
    if any(overlaps(by, name) or by.startswith(f"{name}.") for name in unsure):
        return ""
    found = next((f for f in fields if f.name == by), None) or next((f for f in fields if matches(by, f.name)), None)
    if found is None:
        parts = [field.name for field in fields if field.feature == by]
        hint = f"; name a part of it, such as {parts[0]}" if parts else did_you_mean(by, [*possible, *unsure])
        return f"{rule}; got {by!r}{hint}"
    if not features[found.feature].use:
        return f"{rule}; {by!r} has `use: false`"
    if found.kind == "number":
        return f"{rule}; {by!r} is a number: make it a bucket"
    return "" if found.kind == "id" else f"{rule}; {by!r} has any number of ids a row"


def _listed(names: Sequence[str]) -> str:
    if not names:
        return "there is none"
    more = f" and {len(names) - MOST_NAMES:,} more" if len(names) > MOST_NAMES else ""
    return f"possible are {', '.join(names[:MOST_NAMES])}{more}"
