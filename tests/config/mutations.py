"""Configurations that are broken at random, from those of this repository."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from recsys.config.document import read_yaml
from tests.config.edges import EVIL, SCHEMA, spots

__all__ = ["mutated", "shipped"]

ROOT = Path(__file__).parents[2]
TOKENS = [
    b"!!int ",
    b"!!float ",
    b"!!binary ",
    b"!x ",
    b"&a ",
    b"*a ",
    b"<<: ",
    b"[",
    b"]",
    b"{",
    b"}",
    b": ",
    b"- ",
    b"? ",
]
TOKENS += [
    b"\t",
    b"\n",
    b"\r",
    b"\0",
    b"\x85",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"\xed\xa0\x80",
    b"\xe2\x80\xa8",
    b"#",
    b"'",
]
TOKENS += [
    b'"',
    b"|\n",
    b">\n",
    b"---\n",
    b"...\n",
    b"%YAML 1.1\n---\n",
    b"0x",
    b"0o9",
    b"1_0",
    b"1:30",
    b".nan",
    b".inf",
]
TOKENS += [
    b'"\\ud800"',
    b'"\\U00110000"',
    b"9" * 400,
    b"~",
    b"null",
    b"2001-01-01",
    b"[" * 2000,
    b"{a: " * 2000,
    b"a" * 3000,
]
TOKENS += [b"[*a, *a, *a, *a, *a, *a, *a, *a]\n", b"include: run.yaml\n", b"include: [., /dev/zero]\n"]
KEYS = sorted(
    {key for section in SCHEMA["$defs"].values() for key in section["properties"]} | set(SCHEMA["properties"])
)
KEYS += ["", "scheme=full", "type=id", "[key]", "__proto__", "forward", "*", "C*", "**", "a\nb", "a" * 900, "1", "null"]


def shipped() -> list[Path]:
    """Return the configurations of this repository."""
    return sorted((*ROOT.glob("feature_configs/*.yaml"), *ROOT.glob("pipelines/*/*.yaml")))


def mutated(path: Path, seed: int) -> bytes:
    """Return a file with one to six mistakes: of its bytes, of its keys and values, or of both."""
    rng = random.Random(seed)
    text = path.read_bytes()
    if rng.random() < 0.6:
        root = read_yaml(path, "").root
        assert root is not None
        tree = _lists(root.plain())
        if rng.random() < 0.5:
            spot = rng.choice(list(spots()))
            tree |= {"features": spot.config()["features"] | tree.get("features", {})}
            _put(tree, spot.path, _lists(spot.values))
        for _ in range(rng.randint(1, 6)):
            rng.choice(STRUCTURE)(tree, rng)
        text = json.dumps(tree, ensure_ascii=rng.random() < 0.5, indent=rng.choice([None, 1])).encode(
            "utf-8", "replace"
        )
    if rng.random() < 0.6:
        for _ in range(rng.randint(1, 6)):
            text = _broken(text, rng)
    return text


def _broken(text: bytes, rng: random.Random) -> bytes:
    """Return a text with one mistake of its bytes."""
    at, to = sorted(rng.randint(0, len(text)) for _ in range(2))
    to = min(to, at + 200)
    kind = rng.randrange(6)
    if kind == 0 and text:
        return text[:at] + bytes([rng.randrange(256)]) + text[at + 1 :]
    if kind == 1:
        return text[:at] + text[to:]
    if kind == 2:
        return text[:to] + text[at:to] * rng.randint(1, 3) + text[to:]
    if kind == 3:
        return text[: max(at, len(text) // 2)]
    return text[:at] + rng.choice(TOKENS) + text[at:]


def _lists(value: Any) -> Any:
    """Return a value in which tuples are lists and mappings are new."""
    if isinstance(value, tuple | list):
        return [_lists(child) for child in value]
    return {key: _lists(child) for key, child in value.items()} if hasattr(value, "items") else value


def _put(tree: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    for key in path[:-1]:
        tree = tree.setdefault(key, {}) if isinstance(tree.get(key, {}), dict) else tree
    tree[path[-1]] = value


def _containers(value: Any) -> list[Any]:
    """Return all mappings and lists of a tree that are not empty."""
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    found = [one for child in children for one in _containers(child)]
    return [*found, value] if isinstance(value, dict | list) and value else found


def _somewhere(tree: Any, rng: random.Random) -> tuple[Any, Any]:
    container = rng.choice(_containers(tree) or [{"a": 1}])
    return container, rng.choice(list(container) if isinstance(container, dict) else range(len(container)))


def _any_value(tree: Any, rng: random.Random) -> Any:
    if rng.random() < 0.6:
        value = rng.choice([value for name, value in EVIL.items() if not name.startswith("thousands")])
        return _lists(value)
    container, key = _somewhere(tree, rng)
    return _lists(container[key])


def _replace(tree: Any, rng: random.Random) -> None:
    container, key = _somewhere(tree, rng)
    container[key] = _any_value(tree, rng)


def _delete(tree: Any, rng: random.Random) -> None:
    container, key = _somewhere(tree, rng)
    del container[key]


def _rename(tree: Any, rng: random.Random) -> None:
    container, key = _somewhere(tree, rng)
    if isinstance(container, dict):
        container[rng.choice(KEYS)] = container.pop(key)


def _add(tree: Any, rng: random.Random) -> None:
    container, _ = _somewhere(tree, rng)
    if isinstance(container, dict):
        container[rng.choice(KEYS)] = _any_value(tree, rng)
    else:
        container.insert(rng.randint(0, len(container)), _any_value(tree, rng))


def _wrap(tree: Any, rng: random.Random) -> None:
    container, key = _somewhere(tree, rng)
    for _ in range(rng.choice([1, 1, 2, 100])):
        container[key] = [container[key]] if rng.random() < 0.5 else {rng.choice(KEYS): container[key]}


def _repeat(tree: Any, rng: random.Random) -> None:
    container, key = _somewhere(tree, rng)
    value = container[key]
    if isinstance(value, list):
        value.extend(value * rng.choice([1, 3, 200]))
    elif isinstance(value, dict):
        value |= {
            f"{name}{i}": _lists(child) for i in range(rng.choice([1, 50])) for name, child in list(value.items())
        }


STRUCTURE: list[Callable[[Any, random.Random], None]] = [
    _replace,
    _replace,
    _replace,
    _delete,
    _rename,
    _add,
    _wrap,
    _repeat,
]
