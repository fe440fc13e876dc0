"""Registers the fixtures of bundles.py."""

from tests.export.bundles import bundle, made

__all__ = ["bundle", "made"]
