"""The section of tables of 16-bit integers."""

from typing import ClassVar, Literal

from recsys.config.limits import Step
from recsys.config.schemes.base import IntegerSection

__all__ = ["Int16Table"]


class Int16Table(IntegerSection):
    """Rows of 16-bit integers from the first step on, with stochastic rounding."""

    bits: ClassVar[Literal[8, 16]] = 16

    scheme: Literal["int16"]
    scale: Step = 0.0001
    """Value of one step; the range is 32,768 of them to each side."""
