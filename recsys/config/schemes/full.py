"""The section of a full table."""

from typing import ClassVar, Literal

from recsys.config.schemes.base import TableSection

__all__ = ["FullTable"]


class FullTable(TableSection):
    """One row for each id of the vocabulary: no collisions, no compression."""

    implementation: ClassVar[str | type] = "recsys.embeddings.schemes.full:Full"

    scheme: Literal["full"] = "full"
