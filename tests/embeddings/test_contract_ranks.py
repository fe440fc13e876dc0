"""What every scheme must do on several ranks: the same as on one."""

from typing import Any

import pytest
import torch
from torch import Tensor

from recsys.config.schemes import SCHEMES
from recsys.testing import scheme_cases
from tests.ranks.run_on_ranks import run_on_ranks

from .trained_cases import SIZES, Outcome, train_cases

pytestmark = pytest.mark.ranks

TOWERS: dict[str, dict[str, Any]] = {
    "mlp": {"tower": "mlp", "dim": 4, "mlp": [8], "batch_norm": True},
    "din": {
        "tower": "din",
        "dim": 4,
        "mlp": [8],
        "activation": "dice",
        "attention": [4],
        "attention_activation": "dice",
    },
}
SPARSE = {"mlp": {"name": "sgd", "lr": 0.5}, "din": {"name": "adagrad", "lr": 0.05}}
"""Adagrad does not see by what factor gradients are too large."""


def case(spec: dict[str, Any], tower: str) -> dict[str, Any]:
    """One table of all features, shared by rows between the ranks if the scheme allows it."""
    section = SCHEMES[spec["scheme"]]
    kind = {"sharding": "row_wise"} if section.has_rows and not section.needs_whole_tables else {}
    return {
        "tables": {"all": {"features": ["user", "item", "tags"]} | kind | spec},
        "model": TOWERS[tower],
        "train": {"sparse_optimizer": SPARSE[tower], "dense_optimizer": {"name": "sgd", "lr": 0.1}, "epochs": 2},
    }


ALL = {f"{name}, {tower}": case(spec, tower) for name, spec in scheme_cases().items() for tower in TOWERS}
ROUNDED = ("int8", "int16", "alpt")


@pytest.fixture(scope="module")
def outcomes() -> tuple[dict[str, Outcome], list[dict[str, Outcome]]]:
    """Of one process and of two, of all cases."""
    return train_cases(ALL), run_on_ranks(train_cases, ALL, seconds=300)


Outcomes = tuple[dict[str, Outcome], list[dict[str, Outcome]]]
every_case = pytest.mark.parametrize("name", ALL)


@every_case
def test_what_every_rank_has_is_the_same_to_the_last_bit(name: str, outcomes: Outcomes) -> None:
    first, second = (outcome[name] for outcome in outcomes[1])
    assert first.state.keys() == second.state.keys()
    for key, tensor in first.state.items():
        assert torch.equal(tensor, second.state[key]), key
    assert first.losses == second.losses
    assert torch.equal(first.logits, second.logits)


@every_case
def test_two_ranks_do_what_one_process_does(name: str, outcomes: Outcomes) -> None:
    alone, two = outcomes[0][name], outcomes[1][0][name]
    losses, state = tolerances(name)
    assert two.losses == pytest.approx(alone.losses, abs=losses)
    torch.testing.assert_close(two.logits, alone.logits, rtol=0, atol=10 * losses)
    assert alone.state.keys() == two.state.keys()
    for key, tensor in alone.state.items():
        if key.endswith(".codes"):
            differs = (value_of(two, key) - value_of(alone, key)).abs()
            assert float(differs.max()) <= 0.02
            assert float((differs > state).float().mean()) <= 0.05
        else:
            torch.testing.assert_close(
                two.state[key], tensor, rtol=0, atol=state, msg=lambda text, key=key: f"{key}: {text}"
            )


def value_of(outcome: Outcome, codes: str) -> Tensor:
    """Return rows: the codes times their scales, if these are learned, else the largest that a case has."""
    return outcome.state[codes] * outcome.state.get(codes.replace("codes", "scales"), torch.tensor(0.01))


def tolerances(name: str) -> tuple[float, float]:
    """Return how far losses, and parameters and buffers, may be from those of one process.

    Sums in another order can make a code that is rounded to the nearest, or at random, another one. Batches that give
    an MLP of hashes two ids have gradients near 0, the difference of large numbers: torch's own batch normalization,
    which the single process has, is 4e-5 off; with float64 in its place they agree to 3e-7.
    """
    scheme = name.partition(",")[0].partition("-")[0]
    if scheme in ROUNDED:
        return 1e-3, 1e-3
    return 1e-5, 1e-4 if scheme == "dhe" else 1e-5


@every_case
def test_tables_are_dealt_to_the_ranks_unless_the_scheme_needs_them_whole(name: str, outcomes: Outcomes) -> None:
    alone, first, second = (outcome[name].tables for outcome in (outcomes[0], *outcomes[1]))
    table = ALL[name]["tables"]["all"]
    if SCHEMES[table["scheme"]].needs_whole_tables:
        assert first + second == alone
    elif "sharding" in table:
        assert min(first, second) > 0
        assert first + second > alone


def test_some_batches_leave_a_rank_without_rows() -> None:
    assert 1 in SIZES
