"""The section of compositional embeddings (quotient-remainder trick)."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from recsys.config.schemes.base import Count, SizedTable

__all__ = ["QrTable"]


class QrTable(SizedTable):
    """A quotient and a remainder row for each id, multiplied (compositional embeddings, Shi et al. 2020)."""

    implementation: ClassVar[str | type] = "recsys.embeddings.schemes.qr:Qr"
    shares_rows: ClassVar[bool] = True
    size_param: ClassVar[str | None] = "divisor"
    variants: ClassVar[Mapping[str, Mapping[str, Any]]] = {"per_feature": {"per_feature": True}}
    examples: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "": {"divisor": 5},
        "add": {"divisor": 4, "operation": "add"},
        "per_feature": {"divisor": 3, "per_feature": True},
    }

    scheme: Literal["qr"]
    divisor: Count | None = None
    """Rows of the remainder table; the quotient table has ceil(ids / divisor)."""
    operation: Literal["mul", "add"] = "mul"
    """Operation that makes one vector of the two rows."""
    per_feature: bool = False
    """Two tables for each feature with one divisor, instead of two for all their ids laid end to end."""
