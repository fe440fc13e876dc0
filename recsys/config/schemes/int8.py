"""The section of tables of 8-bit integers."""

from typing import ClassVar, Literal

from recsys.config.limits import Step
from recsys.config.schemes.base import IntegerSection

__all__ = ["Int8Table"]


class Int8Table(IntegerSection):
    """Rows of 8-bit integers from the first step on, with stochastic rounding."""

    bits: ClassVar[Literal[8, 16]] = 8

    scheme: Literal["int8"]
    scale: Step = 0.01
    """Value of one step; the range is 128 of them to each side."""
