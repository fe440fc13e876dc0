"""Evolution: a population of genes that is selected, mutated and crossed, generation by generation.

Paper: Lyu et al., "OptEmbed: Learning Optimal Embedding Table for Click-through Rate Prediction", CIKM 2022.
DIFF: parents are the best of all that were measured (the official code keeps none of them); genes are tuples, so that
no child can change its parent; genes and their fitness are one record, and are measured once; crossover cuts between
two genes, and genes are drawn from the same values at first and in mutation.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from recsys.checksums import read_json, with_checksum, without_checksum
from recsys.files import write_json

__all__ = ["Evolution", "Genes", "Individual", "Select", "cross", "draw", "evolve", "fittest", "mutate"]

Genes = tuple[int, ...]
_REMEDY = "delete it, and the evolution starts again"


@dataclass(frozen=True, kw_only=True)
class Evolution:
    """The sizes of an evolution."""

    generations: int = 30
    mutated: int = 10
    """Children of a generation that are a parent's mutants."""
    crossed: int = 10
    """Children of a generation that are crossed from two parents."""
    mutation: float = 0.1
    """Probability that a gene of a mutant is drawn anew."""


class Individual(NamedTuple):
    """Genes, and how fit they were found to be."""

    genes: Genes
    fitness: float


Select = Callable[[Sequence[Individual]], Sequence[Individual]]
"""Chooses the parents of the next generation among all that were measured, the fittest first."""


def fittest(known: Sequence[Individual], number: int = 10) -> Sequence[Individual]:
    """Return the fittest, as the paper selects parents."""
    return known[:number]


def evolve(
    fitness: Callable[[Genes], float],
    sizes: Sequence[int],
    evolution: Evolution,
    *,
    seed: int,
    first: Sequence[Genes] = (),
    select: Select = fittest,
    state: Path | None = None,
) -> list[Individual]:
    """Return all individuals that were measured, the fittest first; of equally fit ones, that which was found first.

    Args:
        fitness: what is maximized; called once for any genes.
        sizes: number of values of each gene: gene i is one of 0 .. sizes[i] - 1.
        evolution: sizes of the evolution.
        seed: seed of all draws, each generation's being its own.
        first: genes of the first generation, which is filled up at random.
        select: chooses parents among all that were measured.
        state: JSON file that is written after each generation; if it is there, the evolution goes on from it.

    Raises:
        DataError: the state is damaged.
    """
    known, number = _read_state(state)
    while number < evolution.generations:
        random = np.random.default_rng([seed, number])
        if number == 0:
            num_drawn = max(evolution.mutated + evolution.crossed - len(first), 0)
            chosen = [*first, *(draw(sizes, random) for _ in range(num_drawn))]
        else:
            chosen = _children(select(_ranked(known)), sizes, evolution, random)
        for genes in chosen:
            if genes not in known:
                known[genes] = float(fitness(genes))
        number += 1
        _write_state(state, known, number)
    return _ranked(known)


def _ranked(known: dict[Genes, float]) -> list[Individual]:
    """Return all that are known, the fittest first."""
    return sorted((Individual(*pair) for pair in known.items()), key=lambda one: -one.fitness)


def _children(
    parents: Sequence[Individual], sizes: Sequence[int], evolution: Evolution, random: np.random.Generator
) -> list[Genes]:
    def parent() -> Genes:
        return parents[int(random.integers(len(parents)))].genes

    mutants = [mutate(parent(), sizes, evolution.mutation, random) for _ in range(evolution.mutated)]
    if len(sizes) < 2:  # a single gene cannot be crossed
        return mutants
    return mutants + [cross(parent(), parent(), random) for _ in range(evolution.crossed)]


def draw(sizes: Sequence[int], random: np.random.Generator) -> Genes:
    """Return genes drawn uniformly."""
    return tuple(int(random.integers(size)) for size in sizes)


def mutate(genes: Genes, sizes: Sequence[int], probability: float, random: np.random.Generator) -> Genes:
    """Return new genes, some of them drawn anew from all of their values."""
    drawn, changes = draw(sizes, random), random.random(len(sizes)) < probability
    return tuple(new if change else old for old, new, change in zip(genes, drawn, changes, strict=True))


def cross(first: Genes, second: Genes, random: np.random.Generator) -> Genes:
    """Return the beginning of the first and the end of the second genes, at least one gene of each."""
    point = int(random.integers(1, len(first)))
    return first[:point] + second[point:]


def _read_state(state: Path | None) -> tuple[dict[Genes, float], int]:
    if state is None or not state.exists():
        return {}, 0
    content = without_checksum(read_json(state, remedy=_REMEDY), state, remedy=_REMEDY)
    return {tuple(genes): fitness for genes, fitness in content["measured"]}, content["generations"]


def _write_state(state: Path | None, known: dict[Genes, float], number: int) -> None:
    if state is not None:
        measured = [[list(genes), fitness] for genes, fitness in known.items()]
        state.parent.mkdir(parents=True, exist_ok=True)
        write_json(state, with_checksum({"generations": number, "measured": measured}))
