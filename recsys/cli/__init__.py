"""The command line: a thin layer over the Python surface. `commands/` has one file for each command."""

from recsys.cli.app import main

__all__ = ["main"]
