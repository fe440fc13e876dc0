"""The section of multi-granular quantized embeddings."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from recsys.config.limits import DIMS
from recsys.config.problems import KeyPath
from recsys.config.schemes.base import Share, SizedTable, check_parts

__all__ = ["MgqeTable"]


class MgqeTable(SizedTable):
    """DPQ in which rare ids choose among fewer centroids (MGQE, Kang et al. 2020)."""

    implementation: ClassVar[str | type] = "recsys.embeddings.schemes.mgqe:Mgqe"
    size_param: ClassVar[str | None] = "parts"
    examples: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "": {"parts": 4, "choices": 4, "cold_choices": 3, "hot": 0.4},
    }

    scheme: Literal["mgqe"]
    parts: Annotated[int, Field(ge=1, le=DIMS[-1])] | None = None
    """Parts of an embedding, each of which is one of `choices` centroids; divides dim."""
    choices: Annotated[int, Field(ge=2, le=256)] = 256
    """Centroids of a part."""
    cold_choices: Annotated[int, Field(ge=2, le=256)] = 64
    """Number of centroids, the first ones, from which ids that are not hot may choose."""
    hot: Share = 0.1
    """Share of the ids, by falling training frequency, that may choose all."""

    @model_validator(mode="after")
    def _hot_ids_have_more(self) -> Self:
        if self.cold_choices > self.choices:
            raise ValueError(f"cold_choices must be at most choices {self.choices}, got {self.cold_choices}")
        return self

    def check_dim(self, dim: int) -> Iterator[tuple[KeyPath, str]]:
        yield from check_parts(self.parts, dim)
