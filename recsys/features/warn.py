"""Warn of what the training rows hold, where a configuration can hardly mean it."""

from collections.abc import Iterator

from recsys.config.feature_types import DatetimeFeature
from recsys.config.kept import kept_file
from recsys.config.problems import Problem
from recsys.config.resolved import ResolvedConfig
from recsys.features.state import TransformState
from recsys.features.times import NUMBER_FORMATS, TICKS, parses, plausible_unit, year_of

__all__ = ["warnings_about"]

FEWEST_FOUND = 0.05
"""Share of a file's values that must occur in training, or there is a warning: it may be that of another feature."""


def warnings_about(resolved: ResolvedConfig, state: TransformState) -> list[str]:
    """Return what a user should know of the training rows, each as "FILE:LINE: features.ts: text"."""
    problems = [
        Problem(("features", name), _about_times(state.extras[name], feature))
        for name, feature in resolved.features.items()
        if isinstance(feature, DatetimeFeature) and name in state.extras
    ]
    problems += [Problem(("features", name, "kept"), text) for name, text in _about_kept(resolved, state)]
    located = [resolved.config.source.locate(problem) for problem in problems]
    return [f"{found.location}: {found.text}" if found.location else found.text for found in located]


def _about_kept(resolved: ResolvedConfig, state: TransformState) -> Iterator[tuple[str, str]]:
    """Yield each feature of whose kept values the training rows hold almost none, and what that means."""
    for name, feature in resolved.features.items():
        kept = kept_file(feature)
        if kept is None or name not in state.extras:
            continue
        num_kept, num_found = state.extras[name]["kept"], state.vocabularies[name].size - 1
        if num_found <= FEWEST_FOUND * num_kept:
            counts = f"{num_found:,} of the {num_kept:,} values of {kept.file}"
            yield name, f"{counts} are in the training rows; is it a file of this feature's values?"


def _about_times(learnt: dict[str, float], feature: DatetimeFeature) -> str:
    """Say which time is unlikely, and how it would be a likely one."""
    seconds = int(learnt["unlikely_time"])
    outside = f"{100 * learnt['share']:.3g} % of its times are unlikely"
    if feature.format is not None:
        return f"{outside}, for example one of {year_of(seconds)}: is the format {feature.format!r} right?"
    number = seconds * TICKS[feature.unit]
    remedy = _remedy(number)
    if not remedy:
        return f"{outside}, for example one of {year_of(seconds)}"
    return f"{outside}: {number} is the year {year_of(seconds)} in unit {feature.unit}; {remedy}"


def _remedy(number: int) -> str:
    pattern = next((pattern for pattern in NUMBER_FORMATS if parses(str(number), pattern)), None)
    if pattern is not None:
        return f'is it a date? (format: "{pattern}")'
    unit = plausible_unit(number, number)
    return "" if unit is None else f"is it {unit}? (unit: {unit})"
