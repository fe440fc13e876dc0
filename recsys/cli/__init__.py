"""The command line."""

from recsys.cli.commands import main

__all__ = ["main"]
