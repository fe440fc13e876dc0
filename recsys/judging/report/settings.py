"""The table of what was run: first what differs between the runs, then all of it, folded."""

from collections.abc import Mapping, Sequence
from typing import Any

from recsys.judging.report.judged import Judged
from recsys.judging.report.markup import Markup, element, join
from recsys.judging.report.tables import table

__all__ = ["flat", "settings_section"]

_MOST_CHARACTERS = 300


def settings_section(runs: Sequence[Judged]) -> Markup:
    """Return the settings of runs side by side."""
    names = list(dict.fromkeys(name for run in runs for name in run.settings))
    parts = [_differing(runs, names)] if len(runs) > 1 and names else []
    for name in names:
        keys = _keys(runs, name)
        rows = [[key, *(_value(run, name, key) for run in runs)] for key in keys]
        written = table(name, ["key", *(run.name for run in runs)], rows, text_columns=1 + len(runs))
        parts.append(element("details", element("summary", f"{name} ({len(keys)} keys)"), written))
    return join(parts)


def _differing(runs: Sequence[Judged], names: Sequence[str]) -> Markup:
    rows = [
        [f"{name}: {key}", *values]
        for name in names
        for key in _keys(runs, name)
        if len(set(values := [_value(run, name, key) for run in runs])) > 1
    ]
    if not rows:
        return element("p", "The runs have the same settings.")
    return table("What differs", ["key", *(run.name for run in runs)], rows, text_columns=1 + len(runs))


def _keys(runs: Sequence[Judged], name: str) -> list[str]:
    return list(dict.fromkeys(key for run in runs for key in run.settings.get(name, {})))


def _value(run: Judged, name: str, key: str) -> str:
    value = run.settings.get(name, {}).get(key, "")
    text = str(value)
    return text if len(text) <= _MOST_CHARACTERS else f"{text[:_MOST_CHARACTERS]}..."


def flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested settings by the path of their keys.

    >>> flat({"train": {"epochs": 3, "seed": 1}, "tables": [{"scheme": "full"}]})
    {'train.epochs': 3, 'train.seed': 1, 'tables[0].scheme': 'full'}
    """
    found: dict[str, Any] = {}
    for key, value in settings.items():
        path = f"{prefix}{key}"
        if isinstance(value, Mapping):
            found |= flat(value, f"{path}.")
        elif isinstance(value, list) and any(isinstance(one, Mapping) for one in value):
            for place, one in enumerate(value):
                found |= flat(one, f"{path}[{place}].") if isinstance(one, Mapping) else {f"{path}[{place}]": one}
        else:
            found[path] = value
    return found
