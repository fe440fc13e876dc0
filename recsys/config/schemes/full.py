"""The section of a full table."""

from collections.abc import Sequence
from typing import ClassVar, Literal

from recsys.config.schemes.base import PlainRows

__all__ = ["FullTable"]


class FullTable(PlainRows):
    """One row for each id of the vocabulary: no collisions, no compression."""

    implementation: ClassVar[str | type] = "recsys.embeddings.schemes.full:Full"

    scheme: Literal["full"] = "full"

    def known_bytes(self, num_ids: Sequence[int | None], dim: int) -> int | None:
        return None if None in num_ids else self.serving_weight_bytes * dim * sum(ids or 0 for ids in num_ids)
