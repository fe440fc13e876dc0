"""The section of deep hash embeddings."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from recsys.config.schemes.base import Count, SizedTable

__all__ = ["DheTable"]


class DheTable(SizedTable):
    """No table: many hashes of the id, through an MLP (deep hash embedding, Kang et al. 2021)."""

    implementation: ClassVar[str | type] = "recsys.embeddings.schemes.dhe:Dhe"
    takes_open: ClassVar[bool] = True
    has_rows: ClassVar[bool] = False
    size_param: ClassVar[str | None] = "width"
    examples: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "": {"width": 2, "hashes": 8, "layers": 1, "dim": 8},
        "full_table": {"width": 2, "hashes": 8, "layers": 1},
    }

    scheme: Literal["dhe"]
    width: Count | None = None
    """Units of each hidden layer, of all features."""
    hashes: Annotated[int, Field(ge=8)] = 1024
    """Hash functions, the inputs of the MLP."""
    layers: Count = 5
    """Hidden layers."""
