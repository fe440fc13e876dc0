"""The section of tables of 16-bit integers."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from recsys.config.schemes.base import SizedTable

__all__ = ["Int16Table"]


class Int16Table(SizedTable):
    """Rows of 16-bit integers from the first step on, with stochastic rounding."""

    implementation: ClassVar[str | type] = "recsys.embeddings.schemes.integer:Integer"
    has_rows: ClassVar[bool] = False

    scheme: Literal["int16"]
    scale: Annotated[float, Field(gt=0)] = 0.0001
    """Value of one step; the range is 32,768 of them to each side."""
