"""OptEmbed: which rows and which width of each vocabulary are worth their bytes, by an evolution on a frozen supernet.

Paper: Lyu et al., "OptEmbed: Learning Optimal Embedding Table for Click-through Rate Prediction", CIKM 2022
(arXiv 2208.04482).
DIFF: the paper has no budget. Here parents are the best within each of several budgets; one more gene says how many of
the rows that passed their thresholds stay; a width may be 0; the first generation holds what a knapsack over single
cuts proposes, so that fewer generations do. The paper takes the fittest, whose widths are left to chance where the AUC
is flat; here the smallest of those that are as fit is proposed.
DIFF: the paper trains what was found again from the initial rows of the supernet; here rows are drawn anew, as in any
run, so that best.yaml needs nothing of the search.

Dimension key: S groups of columns of a vocabulary.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsys.ranks.seeds import derive_seed
from recsys.search.candidate import Candidate
from recsys.search.cuts import BlockCuts, measure_cuts, shapes_within, whole_shapes
from recsys.search.evolution import Evolution, Genes, Individual, evolve
from recsys.search.knapsack import UnreachableBytesError
from recsys.search.methods.base import Method, Request
from recsys.search.sample import Sample
from recsys.search.shape import TableShape
from recsys.search.supernet import fixed_bytes, gated_tables, shapes_applied
from recsys.training.build import LoadedModel
from recsys.training.strategy import table_weights

__all__ = ["Encoding", "OptEmbed", "row_levels"]

ROW_SHARES = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1)
"""Shares of the rows above their thresholds that may stay, over all vocabularies together."""
FIRST_SHARES = (1.0, 0.8, 0.5)
"""Shares of the rows in the first generation."""
PARENTS = 3
"""Parents of a generation for each budget."""
FLAT = 1e-4
"""Difference of AUC that is less than a sample of validation rows can tell from chance."""


class OptEmbed(Method):
    """One training with thresholds of rows and random widths, then an evolution over rows and widths."""

    name = "optembed"
    title = "rows, and a width for each vocabulary, by an evolution on a frozen supernet (OptEmbed, Lyu et al. 2022)"
    evolution = Evolution(generations=15)

    def gate(self) -> Mapping[str, Any]:
        return {"kind": "optembed"}

    def candidates(self, request: Request) -> Iterator[Candidate]:
        sample = Sample(request.loaded, request.prepared.splits["valid"])
        encoding = Encoding(request.loaded)
        budgets = sorted(set(request.budgets), reverse=True)

        def auc(genes: Genes) -> float:
            with shapes_applied(request.loaded, encoding.shapes(genes)):
                return sample.auc()

        found = evolve(
            auc,
            encoding.sizes,
            self.evolution,
            seed=derive_seed(request.seed, "evolution") % 2**32,
            first=encoding.first(sample, budgets, request),
            select=lambda known: [one for budget in budgets for one in encoding.best_within(known, budget, PARENTS)],
            state=request.state / "evolution.json",
        )
        for genes in dict.fromkeys(encoding.smallest_good(found, budget) for budget in budgets):
            yield Candidate(name=f"{encoding.bytes_of(genes)}-bytes", shapes=encoding.shapes(genes))


class Encoding:
    """Genes as shapes: the first gene is a level of rows, the others are widths in groups, one for each vocabulary.

    Args:
        loaded: The trained supernet.
    """

    def __init__(self, loaded: LoadedModel) -> None:
        self.fixed = fixed_bytes(loaded)
        self.whole = {name: _one_block(shape) for name, shape in whole_shapes(loaded).items()}
        self.num_groups = {name: scheme.gate.num_groups for name, scheme in gated_tables(loaded).items()}
        self.levels = row_levels(loaded)
        self.sizes = [len(self.levels), *(number + 1 for number in self.num_groups.values())]

    def shapes(self, genes: Genes) -> dict[str, TableShape]:
        """Return the shapes that genes stand for, by vocabulary."""
        level, *widths = genes
        return {
            name: replace(shape, columns=(tuple(range(groups * (shape.dim // self.num_groups[name]))),), kept=kept)
            for (name, shape), groups, kept in zip(self.whole.items(), widths, self.levels[level].values(), strict=True)
        }

    def bytes_of(self, genes: Genes) -> int:
        """Return the bytes of all tables when served."""
        return self.fixed + sum(shape.serving_bytes for shape in self.shapes(genes).values())

    def best_within(self, known: Sequence[Individual], budget: int, number: int) -> list[Individual]:
        """Return the fittest within a budget; the one that is nearest to it, if none is.

        Args:
            known: the fittest first.
            budget: most bytes.
            number: most individuals.
        """
        within = [one for one in known if self.bytes_of(one.genes) <= budget][:number]
        return within or [min(known, key=lambda one: self.bytes_of(one.genes))]

    def smallest_good(self, known: Sequence[Individual], budget: int) -> Genes:
        """Return the genes of the fewest bytes among those within a budget that are as fit as the fittest."""
        within = self.best_within(known, budget, len(known))
        good = [one.genes for one in within if one.fitness > within[0].fitness - FLAT]
        return min(good, key=self.bytes_of)

    def first(self, sample: Sample, budgets: Sequence[int], request: Request) -> list[Genes]:
        """Return the genes that a knapsack over the cuts of single vocabularies proposes for each budget."""
        orders = {name: np.arange(number)[None] for name, number in self.num_groups.items()}
        cuts = measure_cuts(sample, orders, self.whole, state=request.state / "cuts.json")
        levels = sorted({min(ROW_SHARES.index(share), len(self.levels) - 1) for share in FIRST_SHARES})
        found = [self._knapsack(cuts, level, budget) for budget in budgets for level in levels]
        return list(dict.fromkeys(genes for genes in found if genes is not None))

    def _knapsack(self, cuts: Sequence[BlockCuts], level: int, budget: int) -> Genes | None:
        """Return the genes of a level that lose least within a budget; None if nothing is within it."""
        whole = {name: replace(shape, kept=self.levels[level][name]) for name, shape in self.whole.items()}
        try:
            shapes = shapes_within(cuts, whole, budget - self.fixed)
        except UnreachableBytesError:
            return None
        widths = [shape.widths[0] * self.num_groups[name] // shape.dim for name, shape in shapes.items()]
        return (level, *widths)


def _one_block(shape: TableShape) -> TableShape:
    return replace(shape, block_sizes=(shape.num_ids,), columns=shape.columns[:1])


def row_levels(loaded: LoadedModel) -> list[dict[str, NDArray[np.bool_] | None]]:
    """Return the ids of each vocabulary that keep their rows, for each share of `ROW_SHARES`.

    A row below its threshold never stays. Of the others, those stay that exceed it most, over all vocabularies; a
    single level, None for each vocabulary, if the gates do not judge rows.
    """
    weights = table_weights(loaded.model)
    scores = {name: scheme.row_scores(weights) for name, scheme in gated_tables(loaded).items()}
    judged = {name: score.cpu().numpy() for name, score in scores.items() if score is not None}
    if not judged:
        return [dict.fromkeys(scores)]
    known = np.concatenate([score[1:] for score in judged.values()])
    passing = np.sort(known[known > 0])[::-1]
    found: list[dict[str, NDArray[np.bool_] | None]] = []
    for share in ROW_SHARES:
        number = round(share * len(passing))
        least = passing[number - 1] if number else np.inf
        found.append({name: judged[name] >= least if name in judged else None for name in scores})
    return found
