"""Registers the fixtures of running.py."""

from tests.serving.server.running import made, other_shop, served, shop

__all__ = ["made", "other_shop", "served", "shop"]
