"""The Markdown pages of the repository, taken apart: code blocks, commands, links, tables.

A comment before a code block says what the tests do with it, and is invisible on the rendered page:

    <!-- config: base -->   the configuration that the page's partial configurations are merged into
    <!-- file: shop.yaml --> the block is a file that other blocks of the page use
    <!-- output -->         what the commands before it print
    <!-- not run -->        Python that is only compiled, since what it needs is not there
"""

import re
import shlex
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

__all__ = ["PAGES", "ROOT", "Block", "Page", "page"]

ROOT = Path(__file__).parent.parent
_BLOCK = re.compile(r"(?:^<!-- ?(?P<note>[^\n]*?) ?-->\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.M | re.S)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_CODE = re.compile(r"`([^`\n]+)`")
_PROGRAMS = ("recsys", "make", "python", "torchrun", "pip", "curl")


class Block(NamedTuple):
    """A fenced code block."""

    language: str
    text: str
    note: str
    """What the comment before it says, "" if there is none."""
    line: int

    @property
    def file(self) -> str | None:
        """Name of the file that the block is."""
        return self.note.removeprefix("file: ") if self.note.startswith("file: ") else None


class Page:
    """A Markdown file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.relative_to(ROOT).as_posix()
        self.text = path.read_text()

    def __repr__(self) -> str:
        return self.name

    @cached_property
    def blocks(self) -> list[Block]:
        """All code blocks, in order."""
        return [
            Block(found["language"], found["text"], found["note"] or "", self.text.count("\n", 0, found.start()) + 1)
            for found in _BLOCK.finditer(self.text)
        ]

    @cached_property
    def prose(self) -> str:
        """The page without its code blocks."""
        return _BLOCK.sub("", self.text)

    @property
    def code(self) -> list[str]:
        """Inline code, such as names and paths."""
        return _CODE.findall(self.prose)

    @property
    def links(self) -> list[str]:
        """Targets of links and pictures within the repository."""
        return [target for target in _LINK.findall(self.prose) if "://" not in target]

    @property
    def anchors(self) -> set[str]:
        """Names of the headings, as GitHub makes them."""
        headings = re.findall(r"^#+ (.*)$", self.prose, re.M)
        return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}

    @property
    def commands(self) -> list[str]:
        """Command lines of blocks and of inline code, without comments."""
        found = [line for block in self.blocks if block.language in ("", "sh") for line in _logical_lines(block.text)]
        found += [code for code in self.code if " " in code]
        return list(dict.fromkeys(line for line in found if line.split(" ")[0] in _PROGRAMS))

    def files(self) -> dict[str, str]:
        """Return the text of each block that is a file, by the file's name."""
        return {block.file: block.text for block in self.blocks if block.file}

    def table(self, first_header: str) -> list[list[str]]:
        """Return the cells of the table whose first column has this header, without the two lines of its head."""
        lines = self.prose.splitlines()
        start = next(i for i, line in enumerate(lines) if line.startswith(f"| {first_header} |"))
        rows = []
        for line in lines[start + 2 :]:
            if not line.startswith("|"):
                break
            rows.append([cell.strip() for cell in line.strip("|").split("|")])
        return rows


def _logical_lines(text: str) -> Iterator[str]:
    """Yield lines without comments, those that end with a backslash joined with the next."""
    for line in text.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True) if line.count('"') % 2 == 0 and line.count("'") % 2 == 0 else []
        if words and words[0] in _PROGRAMS:
            yield shlex.join(words).replace("'>'", ">")


def page(name: str) -> Page:
    """Return a page by its path in the repository."""
    return Page(ROOT / name)


def _find_pages() -> Iterator[Page]:
    for folder in ("feature_configs", "pipelines", "recsys", "tests", "notebooks"):
        yield from map(Page, sorted((ROOT / folder).rglob("README.md")))


PAGES = [page("README.md"), page("CHANGELOG.md"), page(".github/CONTRIBUTING.md"), *_find_pages()]
"""Every README.md of the repository, and the pages that belong to all of it."""
