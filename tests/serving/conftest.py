"""Registers the fixtures of bundles.py."""

from tests.serving.bundles import bundle, made

__all__ = ["bundle", "made"]
