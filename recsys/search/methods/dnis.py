"""DNIS: a soft selection of groups of dimensions for each block of ids, learnt by the loss on validation rows.

Paper: Cheng, Shen and Huang, "Differentiable Neural Input Search for Recommender Systems", 2020 (arXiv 2006.04466).
DIFF: widths of blocks come from a knapsack over what cutting groups, the least |alpha e| first, loses on validation
rows; the paper prunes single weights below a global threshold, which stores no smaller table. The L1 penalty is outside
of the normalization of gradients, half as large as the mean gradient of a block: a group that is less than half as
useful as the mean of its block closes, and the tables adapt while it does. The paper's 1e-5 inside hardly closes any
group of frequent ids, and those of rare ids for being rare.
"""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from recsys.config import Config
from recsys.data.prepared import Prepared
from recsys.search.candidate import Candidate
from recsys.search.cuts import importance_orders
from recsys.search.methods.base import Method, Request
from recsys.search.methods.bilevel import WarmStartSchedule
from recsys.search.methods.by_cuts import cut_candidates
from recsys.search.supernet import supernet_config
from recsys.training.schedule import ScheduleFactory

__all__ = ["Dnis"]


class Dnis(Method):
    """Warm start with open gates; then tables and gates take turns; then a knapsack over cuts."""

    name = "dnis"
    title = "widths per block of frequency, by gates that learn on validation rows (DNIS, Cheng et al. 2020)"
    schedule: ClassVar[ScheduleFactory] = WarmStartSchedule

    def gate(self) -> Mapping[str, Any]:
        return {"kind": "dnis", "l1": 0.5, "l1_inside": False}

    def supernet(self, prepared: Prepared) -> Config:
        train = prepared.resolved.config.train
        return supernet_config(prepared, self.gate(), train=train.model_copy(update={"epochs": 2 * train.epochs}))

    def candidates(self, request: Request) -> Iterator[Candidate]:
        yield from cut_candidates(request, importance_orders(request.loaded))
