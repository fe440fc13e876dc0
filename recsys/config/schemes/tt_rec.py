"""The section of tensor-train tables."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from recsys.config.schemes.base import SizedTable

__all__ = ["TtRecTable"]


class TtRecTable(SizedTable):
    """Three small cores for each feature, contracted: a tensor-train (TT-Rec, Yin et al. 2021)."""

    implementation: ClassVar[str | type] = "recsys.embeddings.schemes.tt_rec:TtRec"
    size_param: ClassVar[str | None] = "rank"
    examples: ClassVar[Mapping[str, Mapping[str, Any]]] = {"": {"rank": 1}, "wider": {"rank": 3, "dim": 64}}

    scheme: Literal["tt_rec"]
    rank: Annotated[int, Field(ge=1, le=4096)] | None = None
    """TT rank, of all features."""
