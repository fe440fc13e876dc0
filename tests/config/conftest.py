"""Registers the fixtures of loading.py."""

from tests.config.loading import folder, load, problems

__all__ = ["folder", "load", "problems"]
