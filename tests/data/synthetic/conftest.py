"""Registers the fixtures of samples.py."""

from tests.data.synthetic.samples import dims, dims_log, sample, shop, shop_log, wide, wide_log

__all__ = ["dims", "dims_log", "sample", "shop", "shop_log", "wide", "wide_log"]
