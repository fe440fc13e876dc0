"""Rows that every rank has: two ranks change them as one process does that reads what both read."""

from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

from recsys.config import SparseOptimizer
from recsys.config.schemes.alpt import AlptTable
from recsys.config.schemes.int8 import Int8Table
from recsys.config.schemes.int16 import Int16Table
from recsys.embeddings.scheme import FeatureVocabulary
from recsys.embeddings.schemes.alpt import Alpt
from recsys.embeddings.schemes.integer import Integer
from recsys.embeddings.schemes.integer_table import IntegerTable
from recsys.ranks import current_world, sum_over_ranks
from tests.ranks.run_on_ranks import run_on_ranks

pytestmark = pytest.mark.ranks

NUM_IDS = 10
SCHEMES = ["int8", "int16", "alpt"]
OPTIMIZERS = ["rowwise_adagrad", "adagrad", "sgd", "adam"]


class Part(NamedTuple):
    """What a rank reads in one step: ids of two lookups."""

    first: list[int]
    second: list[int]


STEPS: list[list[Part]] = [
    [Part([1, 2, 2], [0, 9]), Part([2, 5], [9, 7, 7])],
    [Part([3], [4]), Part([], [])],
    [Part([], []), Part([3, 3], [6])],
    [Part([], [1]), Part([8, 0], [])],
    [Part([], []), Part([], [])],
]
"""In some of them a rank reads nothing, or rows that the other does not read."""


def make(kind: str, optimizer: str) -> IntegerTable:
    torch.manual_seed(0)
    vocabularies, rate = (
        [FeatureVocabulary("f", NUM_IDS)],
        SparseOptimizer.model_validate({"name": optimizer, "lr": 0.01}),
    )
    scheme: IntegerTable
    if kind == "alpt":
        scheme = Alpt("t", vocabularies, 4, AlptTable(features=("f",), scheme="alpt", scale_lr=0.001))
    elif kind == "int8":
        scheme = Integer("t", vocabularies, 4, Int8Table(features=("f",), scheme="int8"))
    else:
        scheme = Integer("t", vocabularies, 4, Int16Table(features=("f",), scheme="int16", scale=1e-4))
    scheme.use_optimizer(rate)
    return scheme


def loss_of(scheme: IntegerTable, parts: list[Part]) -> Tensor:
    """Sums of few and whole numbers, which do not depend on the order of adding."""
    total = torch.zeros(())
    for lookup in range(2):
        ids = [i for part in parts for i in part[lookup]]
        slope = torch.tensor([[1.0, 2.0, -4.0, 8.0]]) * (lookup + 1)
        total = total + (scheme.combine([], torch.tensor(ids, dtype=torch.int64), 0) * slope).sum()
    return total


def train(kinds: list[tuple[str, str]]) -> list[dict[str, Tensor]]:
    """Train a table of each kind on this rank's parts, or alone on all parts; return what they have come to."""
    return [_train(make(*kind)) for kind in kinds]


def _train(scheme: IntegerTable) -> dict[str, Tensor]:
    world = current_world()
    torch.manual_seed(world.rank)  # as dropout may have left the generator
    for parts in STEPS:
        mine = parts if world.size == 1 else [parts[world.rank]]
        (world.size * loss_of(scheme, mine)).backward()
        leaves = scheme.gradient_leaves()
        if leaves:
            found = torch.autograd.grad(loss_of(scheme, mine), leaves)
            scheme.apply_gradients([sum_over_ranks(gradient) for gradient in found], num_rows=8)
    return scheme.state_dict()


KINDS = [(kind, optimizer) for kind in SCHEMES for optimizer in OPTIMIZERS]


@pytest.fixture(scope="module")
def trained() -> list[list[dict[str, Tensor]]]:
    return [train(KINDS), *run_on_ranks(train, KINDS)]


@pytest.mark.parametrize("kind", KINDS, ids="-".join)
def test_two_ranks_end_bit_for_bit_where_one_process_does(
    kind: tuple[str, str], trained: list[list[dict[str, Tensor]]]
) -> None:
    alone, first, second = (states[KINDS.index(kind)] for states in trained)
    fresh = make(*kind).state_dict()
    assert int((alone["codes"] != fresh["codes"]).any(dim=1).sum()) >= NUM_IDS - 2
    for name, expected in alone.items():
        assert torch.equal(first[name], expected), name
        assert torch.equal(second[name], expected), name


def test_rounding_is_drawn_anew_in_every_step_and_hangs_on_the_seed() -> None:
    def drawn(seed: int) -> list[Tensor]:
        torch.manual_seed(seed)
        scheme = Integer("t", [FeatureVocabulary("f", NUM_IDS)], 4, Int8Table(features=("f",), scheme="int8"))
        return [scheme.rounded(torch.full((50, 4), 0.5)) for _ in range(3)]

    first, again, other = drawn(1), drawn(1), drawn(2)
    assert all(torch.equal(one, two) for one, two in zip(first, again, strict=True))
    for one, two in [(first[0], first[1]), (first[1], first[2]), (first[0], other[0])]:
        assert 0.35 < float((one == two).float().mean()) < 0.65


def several(order: list[str]) -> dict[str, Tensor]:
    """Tables of different widths and rows in one backward pass, of which rank 1 reads nothing."""
    torch.manual_seed(0)
    found: dict[str, Any] = {}
    for i, name in enumerate(order):
        vocabularies = [FeatureVocabulary("f", 5 + i)]
        found[name] = Integer(name, vocabularies, 4 * (i + 1), Int8Table(features=("f",), scheme="int8"))
        found[name].use_optimizer(SparseOptimizer(name="sgd", lr=0.5))
    ids = torch.tensor([1, 3] if current_world().rank == 0 else [], dtype=torch.int64)
    vectors = [scheme.combine([], ids, 0) for scheme in found.values()]
    torch.cat(vectors, dim=1).sum().backward()
    return {name: scheme.codes for name, scheme in found.items()}


def test_several_tables_meet_in_the_same_order_on_a_rank_that_reads_nothing() -> None:
    first, second = run_on_ranks(several, ["a", "b", "c"])
    assert all(torch.equal(codes, second[name]) for name, codes in first.items())
    assert all((codes != several(["a", "b", "c"])[name]).any() for name, codes in first.items())
