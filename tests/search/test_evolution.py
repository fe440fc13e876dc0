"""The acceptance checks 9 to 12 of OptEmbed that concern its evolution, and that it goes on after a kill."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from recsys.errors import DataError
from recsys.search.evolution import Evolution, Genes, cross, draw, evolve, mutate

SIZES = (8, 3, 5, 8, 2)
BEST = (7, 0, 2, 5, 1)


def nearness(genes: Genes) -> float:
    """Return a fitness that each gene has its own part in."""
    return -float(sum(abs(gene - best) for gene, best in zip(genes, BEST, strict=True)))


def recording(seen: list[Genes]) -> Callable[[Genes], float]:
    def fitness(genes: Genes) -> float:
        seen.append(genes)
        return nearness(genes)

    return fitness


def test_9_what_is_recorded_is_what_the_genes_give_and_the_best_never_falls() -> None:
    found = evolve(nearness, SIZES, Evolution(generations=9), seed=1)
    assert all(one.fitness == nearness(one.genes) for one in found)
    bests = [evolve(nearness, SIZES, Evolution(generations=number), seed=1)[0].fitness for number in range(1, 10)]
    assert bests == sorted(bests)
    assert [one.fitness for one in found] == sorted((one.fitness for one in found), reverse=True)


def test_9_genes_are_measured_once() -> None:
    seen: list[Genes] = []

    def fitness(genes: Genes) -> float:
        seen.append(genes)
        return float(sum(genes))

    found = evolve(fitness, (2, 2), Evolution(generations=9), seed=1)
    assert sorted(seen) == sorted(one.genes for one in found) == [(0, 0), (0, 1), (1, 0), (1, 1)]


@pytest.mark.parametrize("seed", range(20))
def test_10_parents_are_not_changed_and_genes_stay_in_their_range(seed: int) -> None:
    random = np.random.default_rng(seed)
    parent = draw(SIZES, random)
    before = tuple(parent)
    children = [mutate(parent, SIZES, 0.9, random) for _ in range(50)]
    assert parent == before
    drawn = [draw(SIZES, random) for _ in range(50)]
    for genes in [*children, *drawn]:
        assert all(0 <= gene < size for gene, size in zip(genes, SIZES, strict=True))
    assert mutate(parent, SIZES, 0.0, random) == parent


def test_10_every_value_can_be_drawn_and_mutated_to() -> None:
    random = np.random.default_rng(1)
    for drawn in ({draw((4,), random) for _ in range(99)}, {mutate((0,), (4,), 0.5, random) for _ in range(99)}):
        assert drawn == {(0,), (1,), (2,), (3,)}


def test_11_a_child_has_the_beginning_of_one_parent_and_the_end_of_the_other() -> None:
    random = np.random.default_rng(1)
    first, second = (0,) * 5, (1,) * 5
    children = {cross(first, second, random) for _ in range(200)}
    assert children == {(0,) * point + (1,) * (5 - point) for point in range(1, 5)}


@pytest.mark.parametrize("seed", range(4))
def test_12_evolution_beats_as_many_random_draws(seed: int) -> None:
    sizes, random = (64,) * 12, np.random.default_rng(seed)
    goal = draw(sizes, random)
    seen: list[Genes] = []

    def fitness(genes: Genes) -> float:
        seen.append(genes)
        return -float(np.abs(np.subtract(genes, goal)).sum())

    best = evolve(fitness, sizes, Evolution(generations=30), seed=seed)[0].fitness
    assert len(seen) <= 600
    assert best > max(fitness(draw(sizes, random)) for _ in range(600)) + 50


def test_a_single_gene_evolves_without_crossover() -> None:
    assert evolve(lambda genes: genes[0], (50,), Evolution(generations=30), seed=1)[0].genes == (49,)


def test_the_first_generation_holds_what_is_given() -> None:
    seen: list[Genes] = []
    evolve(recording(seen), SIZES, Evolution(generations=1), seed=1, first=[BEST, (0,) * 5])
    assert seen[:2] == [BEST, (0,) * 5]
    assert len(seen) == 20


def test_an_evolution_that_was_killed_goes_on_as_if_it_had_not_been(tmp_path: Path) -> None:
    evolution = Evolution(generations=6)
    whole = evolve(nearness, SIZES, evolution, seed=3)
    seen: list[Genes] = []

    def until_killed(genes: Genes) -> float:
        if len(seen) == 55:
            raise KeyboardInterrupt
        return recording(seen)(genes)

    state = tmp_path / "state" / "evolution.json"
    with pytest.raises(KeyboardInterrupt):
        evolve(until_killed, SIZES, evolution, seed=3, state=state)
    again: list[Genes] = []
    assert evolve(recording(again), SIZES, evolution, seed=3, state=state) == whole
    assert len(set(again) & set(seen)) < 20  # the generation that was not over, and nothing else
    seen.clear()
    assert evolve(recording(seen), SIZES, evolution, seed=3, state=state) == whole
    assert not seen


def test_another_seed_draws_otherwise() -> None:
    first, second = (evolve(nearness, (64,) * 5, Evolution(generations=2), seed=seed) for seed in (1, 2))
    assert {one.genes for one in first} != {one.genes for one in second}


def test_a_damaged_state_is_refused(tmp_path: Path) -> None:
    state = tmp_path / "evolution.json"
    evolve(nearness, SIZES, Evolution(generations=2), seed=1, state=state)
    state.write_text(state.read_text().replace("-", "", 1))
    with pytest.raises(DataError, match="delete it, and the evolution starts again"):
        evolve(nearness, SIZES, Evolution(generations=3), seed=1, state=state)
