"""AutoDim: each block of ids mixes rows of several widths, and keeps the width that the mixture leans to.

Paper: Zhao et al., "AutoDim: Field-aware Embedding Dimension Search in Recommender Systems", WWW 2021
(arXiv 2006.14827).
DIFF: the paper takes the likeliest width of each field, whatever it costs, and has none of 0. That is one candidate
here; those for budgets come from a knapsack over what each candidate width of a block loses, and no row at all, while
all other blocks have their likeliest widths. The weights of the mixture say which width is best, but not how much
another one loses, and nothing of a field that none of the widths is worth its bytes for.
DIFF: the paper maps narrow rows to the full width in the model that is trained at the end, too; best.yaml takes them
as they are, or pads them. `join: project` at a table of scheme `blocks` is that model. What the supernet has learnt of
the maps is not its beginning: their biases and normalization have no place in it, and the paper trains anew as well.
"""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import numpy as np

from recsys.search.candidate import Candidate
from recsys.search.cuts import prefix_orders, whole_shapes, with_columns
from recsys.search.methods.base import Method, Request
from recsys.search.methods.bilevel import AlternatingSchedule
from recsys.search.methods.by_cuts import cut_candidates
from recsys.search.shape import TableShape
from recsys.search.supernet import gated_tables
from recsys.training.build import LoadedModel
from recsys.training.schedule import ScheduleFactory

__all__ = ["AutoDim"]


class AutoDim(Method):
    """Weights and mixtures take turns from the first step on."""

    name = "autodim"
    title = "widths per block of frequency, by mixtures that learn on validation rows (AutoDim, Zhao et al. 2021)"
    schedule: ClassVar[ScheduleFactory] = AlternatingSchedule

    def gate(self) -> Mapping[str, Any]:
        return {"kind": "autodim"}

    def candidates(self, request: Request) -> Iterator[Candidate]:
        likeliest = likeliest_shapes(request.loaded)
        yield Candidate(name="likeliest", shapes=likeliest)
        yield from cut_candidates(request, prefix_orders(request.loaded), context=likeliest)


def likeliest_shapes(loaded: LoadedModel) -> dict[str, TableShape]:
    """Return the shapes in which each block has the width of the largest weight in its mixture, by vocabulary."""
    whole = whole_shapes(loaded)
    found = {}
    for name, scheme in gated_tables(loaded).items():
        logits_LC: Any = scheme.gate.logits
        widths = np.array(scheme.gate.row_widths())[logits_LC.argmax(dim=1).cpu().numpy()]
        columns = {block: tuple(range(width)) for block, width in enumerate(widths.tolist())}
        found[name] = with_columns(whole[name], columns)
    return found
