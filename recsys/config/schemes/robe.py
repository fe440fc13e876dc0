"""The section of ROBE-Z."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from recsys.config.limits import DIMS, CountOrZero
from recsys.config.problems import KeyPath
from recsys.config.schemes.base import Count, SizedTable

__all__ = ["RobeTable"]


class RobeTable(SizedTable):
    """Slices of one circular array of floats, at hashed places (ROBE-Z, Desai et al. 2022)."""

    implementation: ClassVar[str | type] = "recsys.embeddings.schemes.robe:Robe"
    takes_open: ClassVar[bool] = True
    shares_rows: ClassVar[bool] = True
    size_param: ClassVar[str | None] = "size"
    variants: ClassVar[Mapping[str, Mapping[str, Any]]] = {"per_feature": {"per_feature": True}}
    examples: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "": {"size": 44},
        "chunks": {"size": 50, "dim": 8, "chunk": 4, "exact_below": 0},
        "per_feature": {"size": 36, "per_feature": True},
    }

    scheme: Literal["robe"]
    size: Count | None = None
    """Floats of the array; rounded down to whole chunks."""
    chunk: Annotated[int, Field(ge=4, le=DIMS[-1], multiple_of=4)] | None = None
    """Consecutive floats of one slice (the paper's Z); the whole embedding when not given."""
    per_feature: bool = False
    """Give each feature floats of its own, in proportion to its vocabulary, instead of sharing the array."""
    exact_below: CountOrZero = 5
    """Vocabularies of at most so many ids keep rows of their own."""

    def check_dim(self, dim: int) -> Iterator[tuple[KeyPath, str]]:
        if dim % (self.chunk or dim):
            yield ("chunk",), f"must divide dim ({dim}), got {self.chunk}"
        elif self.size is not None and self.size < dim:
            yield ("size",), f"must be at least dim ({dim}), got {self.size}"
