"""The section of tables of 8-bit integers."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from recsys.config.schemes.base import IntegerSection

__all__ = ["Int8Table"]


class Int8Table(IntegerSection):
    """Rows of 8-bit integers from the first step on, with stochastic rounding."""

    bits: ClassVar[Literal[8, 16]] = 8

    scheme: Literal["int8"]
    scale: Annotated[float, Field(gt=0)] = 0.01
    """Value of one step; the range is 128 of them to each side."""
