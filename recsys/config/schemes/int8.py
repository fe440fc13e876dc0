"""The section of tables of 8-bit integers."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from recsys.config.schemes.base import SizedTable

__all__ = ["Int8Table"]


class Int8Table(SizedTable):
    """Rows of 8-bit integers from the first step on, with stochastic rounding."""

    implementation: ClassVar[str | type] = "recsys.embeddings.schemes.integer:Integer"
    has_rows: ClassVar[bool] = False

    scheme: Literal["int8"]
    scale: Annotated[float, Field(gt=0)] = 0.01
    """Value of one step; the range is 128 of them to each side."""
