"""Refuse public docstrings whose first line is a fragment, which means nothing where an editor shows it alone.

A module, a class, an attribute or a property is described by a whole sentence or by a noun phrase ("Rows of a table."),
not by the rest of a sentence that began elsewhere ("Of the table.", "What one rank holds."); "Whether ..." is usual for
a boolean. A function says in the imperative what it does: ruff's D401 knows the verbs, this finds nouns and articles.

    python .ci/check_docstrings.py [FOLDER...]     # recsys by default; exit code 1 if there are any
"""

import ast
import re
import sys
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

PREPOSITIONS = (
    "about after along as at before below between by for from in into of on out over to under until upon with without"
)
CONJUNCTIONS = "and but else if or nor since so than that though unless which while who whom whose"
QUESTIONS = "how what when where why"
POINTERS = "he her his it its she such their theirs them these they those"
FRAGMENT_STARTS = frozenset(" ".join((PREPOSITIONS, CONJUNCTIONS, QUESTIONS, POINTERS)).split())
NO_VERBS = frozenset(("a", "all", "an", "any", "both", "each", "every", "no", "one", "some", "the", "this"))


class Docstring(NamedTuple):
    """A docstring and what it belongs to."""

    line: int
    name: str
    text: str
    is_function: bool


def docstrings(tree: ast.Module) -> Iterator[Docstring]:
    """Yield the docstrings of a module and of all its public classes, functions and attributes."""
    text = ast.get_docstring(tree)
    if text:
        yield Docstring(1, "module", text, is_function=False)
    yield from _members(tree.body)


def _members(body: list[ast.stmt]) -> Iterator[Docstring]:
    for node, following in zip_longest(body, body[1:]):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            if not node.name.startswith("_"):
                yield from _definition(node)
        elif isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(following, ast.Expr):
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            value = following.value
            name = ast.unparse(target)
            if isinstance(value, ast.Constant) and isinstance(value.value, str) and not name.startswith("_"):
                yield Docstring(following.lineno, name, value.value, is_function=False)


def _definition(node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[Docstring]:
    text = ast.get_docstring(node)
    is_property = any("property" in ast.unparse(decorator) for decorator in node.decorator_list)
    is_described = isinstance(node, ast.ClassDef) or is_property or node.name.startswith("test_")
    if text:
        yield Docstring(node.lineno, node.name, text, is_function=not is_described)
    if isinstance(node, ast.ClassDef):
        yield from _members(node.body)


def is_fragment(docstring: Docstring) -> bool:
    """Say whether the first line cannot stand alone.

    >>> is_fragment(Docstring(1, "Knob", "Of the knob.", is_function=False))
    True
    >>> is_fragment(Docstring(1, "Knob", "A setting that decides how many bytes a table has.", is_function=False))
    False
    >>> is_fragment(Docstring(1, "names", "Names of all columns.", is_function=True))
    True
    >>> is_fragment(Docstring(1, "names", "Return the names of all columns.", is_function=True))
    False
    """
    match = re.match(r"\w[\w'-]*", docstring.text)
    if match is None:  # a term in backticks
        return docstring.is_function
    word = match[0].lower()
    if not docstring.is_function:
        return word in FRAGMENT_STARTS
    is_plural = word.endswith("s") and not word.endswith("ss")
    return word in FRAGMENT_STARTS | NO_VERBS | {"whether"} or is_plural or match[0].isupper()


def main(folders: list[str]) -> int:
    """Print every fragment as FILE:LINE and return the exit code."""
    files = sorted(path for folder in folders for path in Path(folder).rglob("*.py"))
    num_found = 0
    for path in files:
        for docstring in docstrings(ast.parse(path.read_text())):
            if is_fragment(docstring):
                num_found += 1
                first = docstring.text.strip().splitlines()[0]
                print(f"{path}:{docstring.line}: {docstring.name}: not a sentence of its own: {first}")
    print(f"{num_found} fragments in {len(files)} files" if num_found else "docstrings: no fragments")
    return num_found > 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or ["recsys"]))
