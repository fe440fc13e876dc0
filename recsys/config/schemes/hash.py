"""The section of the hashing trick."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from recsys.config.schemes.base import Count, SizedTable

__all__ = ["HashTable"]


class HashTable(SizedTable):
    """`rows` rows; ids that agree modulo `rows` share one (Weinberger et al. 2009)."""

    implementation: ClassVar[str | type] = "recsys.embeddings.schemes.hash:Hash"
    takes_open: ClassVar[bool] = True
    shares_rows: ClassVar[bool] = True
    size_param: ClassVar[str | None] = "rows"
    variants: ClassVar[Mapping[str, Mapping[str, Any]]] = {"per_feature": {"per_feature": True}}
    examples: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "": {"rows": 11},
        "per_feature": {"rows": 9, "per_feature": True},
    }

    scheme: Literal["hash"]
    rows: Count | None = None
    """Rows of the table, whatever the size of the vocabulary."""
    hashing: Literal["modulo", "random"] = "modulo"
    """Hash of the ids of a vocabulary: modulo spreads them evenly, random scrambles them. Keys of an open vocabulary
    are always scrambled."""
    per_feature: bool = False
    """Give each feature rows of its own, in proportion to its vocabulary, instead of sharing all rows."""
