"""The output of commands on the terminal: results go to stdout, all else to stderr, so that results can be piped."""

from rich.console import Console
from rich.table import Table

__all__ = ["console", "log", "print_table"]

console = Console(stderr=True, highlight=False, soft_wrap=True)
"""Console for messages, which are not results; lines are not wrapped."""


def log(text: str, *, style: str | None = None) -> None:
    """Write a line to stderr as it is: square brackets are not taken for markup."""
    console.print(text, markup=False, style=style)


def print_table(table: Table, *, stderr: bool = False) -> None:
    """Print a table as wide as its cells need: even on a narrow terminal, none is cut, wrapped or marked up."""
    Console(stderr=stderr, highlight=False, markup=False, emoji=False, width=10_000).print(table, crop=False)
