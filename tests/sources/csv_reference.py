"""A csv reader of its own for the tests: one character after the other, and nothing is guessed."""

import random

__all__ = ["RefusedError", "odd_text", "read_header", "read_rows"]


class RefusedError(Exception):
    """The text could be read in two ways, or in none."""


def read_rows(text: str, *, separator: str, quoted: bool, width: int) -> list[list[str | None]]:
    """Return the rows; an empty field is None."""
    text = text.removesuffix("\r")
    position = 0
    rows = []
    while position < len(text):
        if end := _line_end(text, position):
            if width == 1:
                raise RefusedError
            position += end
            continue
        row, position = _row(text, position, separator, quoted)
        if len(row) != width:
            raise RefusedError
        rows.append(row)
    return rows


def read_header(text: str, *, separator: str, quoted: bool) -> tuple[list[str | None], str]:
    """Return the fields of the first line, and the text after it."""
    text = text.lstrip("\r\n").removesuffix("\r")
    row, position = _row(text, 0, separator, quoted)
    return row, text[position:]


def _row(text: str, position: int, separator: str, quoted: bool) -> tuple[list[str | None], int]:
    row = []
    while True:
        if quoted and text.startswith('"', position):
            field, position = _quoted(text, position + 1)
        else:
            field, position = _plain(text, position, separator)
        row.append(field or None)
        if text.startswith(separator, position):
            position += len(separator)
        elif end := _line_end(text, position):
            return row, position + end
        else:
            raise RefusedError


def _quoted(text: str, position: int) -> tuple[str, int]:
    field = ""
    while position < len(text):
        if text.startswith('""', position):
            field, position = field + '"', position + 2
        elif text[position] == '"':
            return field, position + 1
        else:
            field, position = field + text[position], position + 1
    raise RefusedError


def _plain(text: str, position: int, separator: str) -> tuple[str, int]:
    start = position
    while not text.startswith(separator, position) and not _line_end(text, position):
        position += 1
    if "\r" in text[start:position]:
        raise RefusedError
    return text[start:position], position


def _line_end(text: str, position: int) -> int:
    """Return the length of the line end here; 1 at the end of the text."""
    if text.startswith("\r\n", position):
        return 2
    return int(position >= len(text) or text[position] == "\n")


def odd_text(rng: random.Random, separator: str, width: int) -> str:
    """Return some lines, most of them rows, some with odd fields, the last one perhaps cut."""
    fields = ["a", "1", "22", "", '5" d', '"x"', f'"b{separator}c"', '"l\nm"', '"q""r"', '"""s"""', '""', ":", "\u00e9"]
    if rng.random() < 0.4:
        fields += rng.sample(['"open', '"5" inch', "x\ry", '"', '"a\r\nb"', '"a\rb"'], 2)
    end = rng.choice(["\n", "\n", "\r\n", "\n\n"])
    widths = [width if rng.random() < 0.98 else width + 1 for _ in range(rng.randint(0, 12))]
    text = "".join(separator.join(rng.choices(fields, k=width)) + end for width in widths)
    return text if rng.random() < 0.7 else text[: rng.randint(0, len(text))]
