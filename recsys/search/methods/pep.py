"""PEP: thresholds that learn with the weights take from each weight, and prune those that they exceed.

Paper: Liu et al., "Learnable Embedding Sizes for Recommender Systems", ICLR 2021 (arXiv 2101.07577).
DIFF: the paper stops when the density of single weights is reached. Here whole groups of a block are cut, those first
of which the thresholds leave least, and a knapsack chooses for any budget.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from recsys.search.candidate import Candidate
from recsys.search.cuts import importance_orders
from recsys.search.methods.base import Method, Request
from recsys.search.methods.by_cuts import cut_candidates

__all__ = ["Pep"]


class Pep(Method):
    """One training with soft thresholds, then a knapsack over cuts."""

    name = "pep"
    title = "widths per block of frequency, by soft thresholds that learn with the weights (PEP, Liu et al. 2021)"

    def gate(self) -> Mapping[str, Any]:
        return {"kind": "pep"}

    def candidates(self, request: Request) -> Iterator[Candidate]:
        yield from cut_candidates(request, importance_orders(request.loaded))
