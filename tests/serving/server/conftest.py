"""Registers the fixtures of running.py."""

from tests.serving.server.running import served, shop

__all__ = ["served", "shop"]
