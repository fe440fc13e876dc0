"""The section of differentiable product quantization."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from recsys.config.limits import DIMS
from recsys.config.problems import KeyPath
from recsys.config.schemes.base import SizedTable, check_parts

__all__ = ["DpqTable"]


class DpqTable(SizedTable):
    """Product quantization that is learned with the model (DPQ, Chen et al. 2020)."""

    implementation: ClassVar[str | type] = "recsys.embeddings.schemes.dpq:Dpq"
    size_param: ClassVar[str | None] = "parts"
    examples: ClassVar[Mapping[str, Mapping[str, Any]]] = {"": {"parts": 2, "choices": 4}}

    scheme: Literal["dpq"]
    parts: Annotated[int, Field(ge=1, le=DIMS[-1])] | None = None
    """Parts of an embedding, each of which is one of `choices` centroids; divides dim."""
    choices: Annotated[int, Field(ge=2, le=256)] = 32
    """Centroids of a part."""

    def check_dim(self, dim: int) -> Iterator[tuple[KeyPath, str]]:
        yield from check_parts(self.parts, dim)
