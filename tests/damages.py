"""Damages of a file: flipped bits at several places, cut in half, emptied, deleted."""

import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from recsys.reasons import user_message

__all__ = ["DAMAGES", "Damage", "damaged_copy", "figures_or_refusal", "files_of"]

Damage = Callable[[bytes, random.Random], bytes | None]


def flip(share: float | None) -> Damage:
    """Flip a bit at a share of the file's length; at a random place if it is None."""

    def damage(content: bytes, draw: random.Random) -> bytes:
        if not content:
            return b"\0"
        place = draw.randrange(len(content)) if share is None else min(int(share * len(content)), len(content) - 1)
        return content[:place] + bytes([content[place] ^ (1 << draw.randrange(8))]) + content[place + 1 :]

    return damage


DAMAGES: dict[str, Damage] = {
    "first byte": flip(0.0),
    "middle": flip(0.5),
    "last byte": flip(1.0),
    **{f"random place {number}": flip(None) for number in range(4)},
    "half": lambda content, _: content[: len(content) // 2],
    "last byte missing": lambda content, _: content[:-1],
    "a byte too many": lambda content, _: content + b"\0",
    "empty": lambda *_: b"",
    "deleted": lambda *_: None,
}


def files_of(folder: Path) -> list[str]:
    """Return the names of all files below a folder that something reads, in order."""
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return [name for name in names if not name.startswith("tensorboard/")]


def damaged_copy(folder: Path, name: str, damage: Damage, copy: Path, *, seed: int) -> Path:
    """Copy a folder, with one of its files damaged; the others are hard links."""
    shutil.copytree(folder, copy, copy_function=lambda source, target: Path(target).hardlink_to(source))
    content = damage((folder / name).read_bytes(), random.Random(f"{name} {seed}"))
    (copy / name).unlink()
    if content is not None:
        (copy / name).write_bytes(content)
    return copy


def figures_or_refusal(read: Callable[[], object], name: str) -> object:
    """Return what a reader gives, or None if it refuses with a message that names the damaged file."""
    try:
        return read()
    except Exception as error:
        message = user_message(error)
        if message is None:
            raise
        assert name.rsplit("/", 1)[-1] in message, message
        return None


def random_damages(names: list[str], number: int, *, seed: int) -> Iterator[tuple[str, Damage, int]]:
    """Draw files and damages of them."""
    draw = random.Random(seed)
    for index in range(number):
        yield draw.choice(names), draw.choice(list(DAMAGES.values())), index
