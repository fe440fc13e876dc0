"""Turn the findings of pydantic into plain sentences."""

from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Any, get_args

from pydantic_core import ErrorDetails

from recsys.config.limits import DIMS
from recsys.config.problems import MAX_PROBLEMS, TAG_MARK, UNREADABLE, KeyPath, Problem, did_you_mean, shorten
from recsys.config.run import Config
from recsys.config.section import CUSTOM, UNIONS, Section

__all__ = ["UNKNOWN_KEY", "explain", "key_path", "show"]

UNKNOWN_KEY = "unknown key"
"""Beginning of what is said of a key that a section has not."""


def _families() -> list[dict[str, type[Section]]]:
    """Return the sections of each union by tag, such as that of `scheme: hash`."""
    return [union.choices() for union in UNIONS]


def _kinds() -> dict[str, type[Section]]:
    return {tag: section for family in _families() for tag, section in family.items()}


def explain(errors: Sequence[ErrorDetails]) -> list[Problem]:
    """Say what pydantic's findings mean, no more of them than a message lists."""
    # A list that is too short because its entries are wrong is no problem of its own.
    wrong = {error["loc"][:end] for error in errors for end in range(len(error["loc"]))}
    own = [error for error in errors if error["type"] != "too_short" or error["loc"] not in wrong]
    return list(islice((_explain(error) for error in own if not _is_reported(error)), MAX_PROBLEMS + 1))


def _is_reported(error: ErrorDetails) -> bool:
    """Say whether the value could not be read, which is a problem of the file already."""
    value, chooser = error["input"], error.get("ctx", {}).get("tag", "").removeprefix(TAG_MARK).partition("=")[0]
    return value is UNREADABLE or (isinstance(value, Mapping) and value.get(chooser) is UNREADABLE)


def key_path(loc: tuple[int | str, ...]) -> KeyPath:
    """Return where pydantic found something, without the tags by which it marks what it read a value as."""
    return tuple(part for part in loc if not str(part).startswith(TAG_MARK))


def _explain(error: ErrorDetails) -> Problem:
    path = key_path(error["loc"])
    kind, value, context = error["type"], error["input"], error.get("ctx", {})
    if kind.startswith("union_tag"):
        return _no_such_choice(path, value, context)
    if kind == "extra_forbidden":
        return Problem(path, _unknown_key(error["loc"]))
    if kind in SPECIAL_RULES:
        return Problem(path, SPECIAL_RULES[kind](value, context))
    if kind in RULES:
        limits = {name: f"{limit:g}" if isinstance(limit, float) else limit for name, limit in context.items()}
        return Problem(path, RULES[kind].format(got=show(value), **limits))
    return Problem(path, f"{error['msg']}, got {show(value)}")


def show(value: object) -> str:
    """Write a value as YAML does, in at most 60 characters.

    >>> show(None), show(True), show("abc"), show((1, 2))
    ('null', 'true', "'abc'", '[1, 2]')
    """
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, tuple | list):
        return shorten(f"[{', '.join(map(show, value[:20]))}{', ...' * (len(value) > 20)}]")
    try:
        return shorten(repr(value))
    except ValueError:  # Python does not write out integers of more than 4,300 digits
        return "a number of thousands of digits"


def _no_such_choice(path: KeyPath, value: object, context: Mapping[str, Any]) -> Problem:
    key, _, given = context["tag"].removeprefix(TAG_MARK).partition("=")
    known = [name.strip().strip("'").partition("=")[2] for name in context["expected_tags"].split(",")]
    if key == "shape":
        shapes = {"integer": "an integer", "text": "text", "list": "a list", "mapping": "a mapping"}
        return Problem(path, f"expected {' or '.join(shapes[name] for name in known)}, got {show(value)}")
    if not isinstance(value, Mapping):
        example = value if value in known else known[0]
        return Problem(path, f"expected a mapping such as {{{key}: {example}}}, got {show(value)}")
    rule = f"one of {', '.join(known)}"
    if key not in value:
        return Problem(path, f"{key} is required: {rule}")
    hint = did_you_mean(given, (name for name in known if name != CUSTOM))
    return Problem((*path, key), f"must be {rule}, got {show(value[key])}{hint}")


def _unknown_key(loc: tuple[int | str, ...]) -> str:
    section: type[Section] | None = Config
    kind, kinds = "", _kinds()
    for part in loc[:-1]:
        if part in kinds:
            section, kind = kinds[str(part)], str(part)
        elif section and isinstance(part, str):  # a number is a place in a list of sections
            section = _inner(section, part)
    known = set(section.model_fields) if section else set()
    known |= {"include"} if section is Config else set()
    key, _, value = kind.removeprefix(TAG_MARK).partition("=")
    text = f"{UNKNOWN_KEY} for {key} {value}" if kind else UNKNOWN_KEY
    if section and (new := section.new_name(str(loc[-1]))):
        return f"{text}: it is now called {new}"
    if section and (advice := section.advice(str(loc[-1]))):
        return f"{text}; {advice}"
    if hint := did_you_mean(loc[-1], known):
        return text + hint
    owners = [
        tag.partition("=")[2]
        for family in _families()
        for tag, section in family.items()
        if kind in family and loc[-1] in section.model_fields
    ]
    return f"{text}; it belongs to {key} {' or '.join(owners)}" if owners else text


def _inner(section: type[Section], name: str) -> type[Section] | None:
    """Return the section under a key, if it is of one kind only."""
    annotation = section.model_fields[name].annotation
    options = [annotation, *get_args(annotation)]
    return next((o for o in options if isinstance(o, type) and issubclass(o, Section)), None)


def _quote(value: Any) -> str:
    """Return what to do about a number where text is due."""
    return f"; write it in quotes: '{show(value)}'" if isinstance(value, bool | int | float) else ""


def _one_of(value: Any, expected: str) -> str:
    known = expected.replace(" or ", ", ").replace("'", "")
    return f"must be one of {known}, got {show(value)}{did_you_mean(value, known.split(', '))}"


def _dim(value: int) -> str:
    near = [dim for dim in DIMS if abs(dim - value) < DIMS.step] or [min(DIMS, key=lambda dim: abs(dim - value))]
    return f"must be a multiple of {DIMS.step} (FBGEMM), got {value}; nearest: {', '.join(map(str, near))}"


def _too_short(value: Any, least: int) -> str:
    return "must not be empty" if least == 1 else f"must have at least {least} entries, got {show(value)}"


RULES = {
    "missing": "is required",
    "greater_than_equal": "must be at least {ge}, got {got}",
    "greater_than": "must be greater than {gt}, got {got}",
    "less_than_equal": "must be at most {le}, got {got}",
    "less_than": "must be less than {lt}, got {got}",
    "finite_number": "must be finite, got {got}",
    "int_type": "expected an integer, got {got}",
    "int_from_float": "expected an integer, got {got}",
    "bool_type": "expected true or false, got {got}",
    "tuple_type": "expected a list, got {got}",
    "dict_type": "expected a mapping, got {got}",
    "model_type": "expected a mapping, got {got}",
    "model_attributes_type": "expected a mapping, got {got}",
    "string_too_long": "must be at most {max_length} character long, got {got}",
    "string_pattern_mismatch": f"must be a class, written {CUSTOM}, got {{got}}",
}
"""Sentence of each finding, by pydantic's name of it; `got` is the value, the other names are pydantic's."""
SPECIAL_RULES: dict[str, Callable[[Any, Mapping[str, Any]], str]] = {
    "multiple_of": lambda value, _: _dim(value),
    "literal_error": lambda value, context: _one_of(value, context["expected"]),
    "too_short": lambda value, context: _too_short(value, context["min_length"]),
    "string_too_short": lambda value, context: _too_short(value, context["min_length"]),
    "float_type": lambda value, _: f"expected a number{' of 64 bits' * (type(value) is int)}, got {show(value)}",
    "string_type": lambda value, _: f"expected text, got {show(value)}{_quote(value)}",
    "value_error": lambda _, context: str(context["error"]),
}
