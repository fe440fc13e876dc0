"""The section of hash embeddings."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from recsys.config.limits import CountOrZero
from recsys.config.schemes.base import Count, SizedTable

__all__ = ["MultiHashTable"]


class MultiHashTable(SizedTable):
    """The sum of several hashed rows, weighted by id if asked (hash embeddings, Svenstrup et al. 2017)."""

    implementation: ClassVar[str | type] = "recsys.embeddings.schemes.multi_hash:MultiHash"
    takes_open: ClassVar[bool] = True
    shares_rows: ClassVar[bool] = True
    size_param: ClassVar[str | None] = "rows"
    variants: ClassVar[Mapping[str, Mapping[str, Any]]] = {"per_feature": {"per_feature": True}}
    examples: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "": {"rows": 11},
        "importance": {"rows": 11, "hashes": 3, "importance_rows": 6, "exact_below": 0},
        "per_feature": {"rows": 9, "per_feature": True, "importance_rows": 3},
    }

    scheme: Literal["multi_hash"]
    rows: Count | None = None
    """Rows of the pool."""
    hashes: Annotated[int, Field(ge=2, le=4)] = 2
    """Rows that are summed for one id."""
    importance_rows: CountOrZero = 0
    """Rows of a second, hashed table of learned weights of the summands; 0 sums them as they are."""
    per_feature: bool = False
    """Give each feature rows of its own, in proportion to its vocabulary, instead of sharing all rows."""
    exact_below: CountOrZero = 5
    """Vocabularies of at most so many ids keep rows of their own."""
