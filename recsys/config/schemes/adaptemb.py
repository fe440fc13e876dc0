"""The section of AdaptEmb."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from recsys.config.schemes.base import Share, SizedTable

__all__ = ["AdaptEmbTable"]


class AdaptEmbTable(SizedTable):
    """Frequent ids keep rows of their own, the others are hashed (AdaptEmb, as in Zhang et al. 2024)."""

    implementation: ClassVar[str | type] = "recsys.embeddings.schemes.adaptemb:AdaptEmb"
    size_param: ClassVar[str | None] = "rate"
    examples: ClassVar[Mapping[str, Mapping[str, Any]]] = {"": {"rate": 0.6}, "hot": {"rate": 0.5, "hot": 0.2}}

    scheme: Literal["adaptemb"]
    rate: Annotated[float, Field(gt=0, le=1)] | None = None
    """Rows of each feature, as a share of its ids."""
    hot: Share | None = None
    """Share of the ids that keep their rows, smaller than that of rows; half of the rows when not given."""

    @model_validator(mode="after")
    def _others_have_rows(self) -> Self:
        if self.rate is not None and self.hot is not None and self.hot >= self.rate:
            raise ValueError(
                f"hot must be smaller than rate {self.rate:g}, or no row is left for the other ids, got {self.hot:g}"
            )
        return self
