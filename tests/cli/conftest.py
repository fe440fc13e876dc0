"""Registers the fixtures of command_line.py."""

from tests.cli.command_line import recsys, refused

__all__ = ["recsys", "refused"]
