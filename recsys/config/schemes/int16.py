"""The section of tables of 16-bit integers."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from recsys.config.schemes.base import IntegerSection

__all__ = ["Int16Table"]


class Int16Table(IntegerSection):
    """Rows of 16-bit integers from the first step on, with stochastic rounding."""

    bits: ClassVar[Literal[8, 16]] = 16

    scheme: Literal["int16"]
    scale: Annotated[float, Field(gt=0)] = 0.0001
    """Value of one step; the range is 32,768 of them to each side."""
