"""Nested widths: one training in which rows are cut to random prefixes, then each block is cut where that costs least.

Papers: Kusupati et al., "Matryoshka Representation Learning", NeurIPS 2022; Li et al., "2D Matryoshka Sentence
Embeddings", 2024.
DIFF: the widths of blocks come from a knapsack over what each cut alone loses on validation rows; the papers cut all
vectors at one width.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from recsys.search.candidate import Candidate
from recsys.search.cuts import prefix_orders
from recsys.search.methods.base import Method, Request
from recsys.search.methods.by_cuts import cut_candidates

__all__ = ["Nested"]


class Nested(Method):
    """Random prefixes while training, then a knapsack over cuts: the cheapest method."""

    name = "nested"
    title = "widths per block of frequency, from one training with random prefixes (Kusupati et al. 2022)"

    def gate(self) -> Mapping[str, Any]:
        return {"kind": "nested"}

    def candidates(self, request: Request) -> Iterator[Candidate]:
        yield from cut_candidates(request, prefix_orders(request.loaded))
