"""The section of deduplicated blocks of rows."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from recsys.config.limits import Step
from recsys.config.schemes.base import Count, Share, SizedTable

__all__ = ["DedupTable"]


class DedupTable(SizedTable):
    """Train in full, merge blocks of rows that are alike, fine-tune (dedup, Zhou et al. 2022)."""

    implementation: ClassVar[str | type] = "recsys.embeddings.schemes.dedup:Dedup"
    size_param: ClassVar[str | None] = "blocks"
    num_stages: ClassVar[int] = 2
    needs_whole_tables: ClassVar[bool] = True
    examples: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "": {"blocks": 4, "block_rows": 2},
        "padded": {"blocks": 2, "block_rows": 5},
    }

    scheme: Literal["dedup"]
    blocks: Count | None = None
    """Blocks that stay."""
    block_rows: Count | None = None
    """Rows of a block; 10,000 when not given, fewer where that makes less than 100 blocks."""
    tolerance: Step = 0.01
    """Two floats are alike if they differ by no more; doubled until the budget is met."""
    similarity: Share = 0.7
    """Two blocks are alike if so large a share of their floats is."""
