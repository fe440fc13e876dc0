"""Synthetic click logs, drawn from a seed, with planted effects and a known best possible AUC."""

from recsys.data.synthetic.dims import generate_dims
from recsys.data.synthetic.log import SyntheticLog, Truth
from recsys.data.synthetic.shop import generate
from recsys.data.synthetic.wide import generate_wide

__all__ = ["SyntheticLog", "Truth", "generate", "generate_dims", "generate_wide"]
