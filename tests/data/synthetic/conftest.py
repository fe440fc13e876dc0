"""Registers the fixtures of samples.py."""

from tests.data.synthetic.samples import sample, shop, shop_log, wide, wide_log

__all__ = ["sample", "shop", "shop_log", "wide", "wide_log"]
