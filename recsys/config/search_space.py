"""Check the keys that a search may change besides the tables: that they exist, and take each of the values."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

from recsys.config.changes import given_values, parse_key, with_values
from recsys.config.messages import UNKNOWN_KEY
from recsys.config.problems import MAX_PROBLEMS, KeyPath, Problem, did_you_mean, spell
from recsys.config.run import Config
from recsys.config.search import NumberRange, SearchSection

__all__ = ["check_space", "is_integer"]

FIXED: tuple[KeyPath, ...] = (
    *(("label",), ("data",), ("weight",), ("group",), ("search",), ("include",)),
    ("train", "seed"),
)
"""Keys that make trials what they are: with others, their figures could not be compared."""


def check_space(config: Config) -> list[Problem]:
    """Return what is wrong with `search.space` of a configuration that is right but for it."""
    if config.search is None:
        return []
    plain = config.replaced(search=None)
    paths = {text: parse_key(text, config) for text in config.search.space}
    problems: list[Problem] = []
    for text, path in paths.items():
        others = [other for other in paths.values() if other is not path]
        if reason := _refusal(path, plain, config.search) or _clash(path, others):
            problems.append(Problem(("search", "space", text), reason))
        elif len(problems) <= MAX_PROBLEMS:
            problems += _value_problems(plain, text, path, config.search.space[text])
    return problems


def is_integer(config: Config, path: KeyPath, values: NumberRange) -> bool:
    """Say whether the key at `path` takes integers alone, so that those of a range are meant."""
    if not all(isinstance(value, int) for value in (values.low, values.high, values.step or 1)):
        return False
    _, problems = with_values(config, {path: values.low + 0.5})
    return bool(problems)


def _refusal(path: KeyPath, config: Config, search: SearchSection) -> str:
    """Say why a key cannot be searched, whatever its values; "" if it can."""
    if not path:
        return "must name a key by its path, such as train.dense_optimizer.lr"
    if any(path[: len(fixed)] == fixed for fixed in FIXED):
        return "cannot be searched: the figures of trials with other values could not be compared"
    named: dict[str | int, list[str]] = {"features": [*config.features], "tables": [*config.tables]}
    if len(path) > 1 and path[0] in named and path[1] not in named[path[0]]:
        return f"the configuration has no {path[0]}.{path[1]}{did_you_mean(path[1], named[path[0]])}"
    if path[-1] == "dim" and path[0] in ("model", "tables") and search.dims != {}:
        return "the widths of tables are searched already; leave it out, or write `dims: {}` to search none of them"
    if path[0] == "tables" and search.schemes:
        return "tables are replaced by those of the schemes that are searched; leave out one of the two"
    return _missing_entry(path, config)


def _missing_entry(path: KeyPath, config: Config) -> str:
    """Say that a list has no such entry, or is not written in the file."""
    here: Any = given_values(config)
    for position, key in enumerate(path):
        if isinstance(key, int) and not (isinstance(here, tuple) and key < len(here)):
            return (
                f"{spell(path[:position])} has no entry [{key}] in the file; write the list there, or search it whole"
            )
        here = here.get(key) if isinstance(here, dict) else here[key] if isinstance(key, int) else None
    return ""


def _clash(path: KeyPath, others: list[KeyPath]) -> str:
    for other in others:
        if path[: len(other)] == other:
            return f"is part of {spell(other)}, which is searched too; leave out one of the two"
    return ""


def _value_problems(config: Config, text: str, path: KeyPath, values: Any) -> Iterator[Problem]:
    """Yield the values that the configuration would not take, each put into it by itself."""
    for key, value in _samples(config, path, values):
        _, problems = with_values(config, {path: value})
        for problem in islice(problems, 1):
            is_missing = problem.text.startswith(UNKNOWN_KEY)
            what = "" if problem.path == path else f"{spell(problem.path)}: "
            yield Problem(("search", "space", text, *(() if is_missing else key)), what + problem.text)
            if is_missing or isinstance(values, NumberRange):
                return


def _samples(config: Config, path: KeyPath, values: Any) -> Iterator[tuple[KeyPath, Any]]:
    """Yield values with their place under the key: all of a list, the ends and a neighbour of a range."""
    if not isinstance(values, NumberRange):
        yield from (((index,), value) for index, value in enumerate(values))
        return
    yield ("low",), values.low
    if values.step is not None:
        yield ("step",), values.low + values.step
    elif values.low + 1 < values.high and is_integer(config, path, values):
        yield ("low",), values.low + 1
    yield ("high",), values.high
