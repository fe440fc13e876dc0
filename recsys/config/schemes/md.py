"""The section of mixed-dimension tables."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from recsys.config.schemes.base import SizedTable

__all__ = ["MdTable"]


class MdTable(SizedTable):
    """Narrower rows for larger vocabularies, projected to one width (mixed dimensions, Ginart et al. 2021)."""

    implementation: ClassVar[str | type] = "recsys.embeddings.schemes.md:Md"
    size_param: ClassVar[str | None] = "alpha"
    examples: ClassVar[Mapping[str, Mapping[str, Any]]] = {"": {"alpha": 1.5}, "wider": {"alpha": 2.0, "dim": 16}}

    scheme: Literal["md"]
    alpha: Annotated[float, Field(ge=0, le=100)] | None = None
    """Width falls with the size of the vocabulary to the power of -alpha; 0 compresses nothing."""
