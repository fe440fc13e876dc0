"""Registers the fixtures of prepared_clicks.py."""

from tests.data.prepared_clicks import cache, data

__all__ = ["cache", "data"]
