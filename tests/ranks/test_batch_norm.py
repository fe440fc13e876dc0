"""A batch that is dealt to two ranks is normalized as on one."""

from typing import Any

import pytest
import torch
from torch import Tensor

from recsys.ranks import current_world
from recsys.ranks.batch_norm import BatchNorm
from tests.ranks.run_on_ranks import run_on_ranks

pytestmark = pytest.mark.ranks

SPLITS = {
    "even": [4, 4],
    "uneven": [7, 2],
    "one row on a rank": [6, 1],
    "no row on a rank": [0, 5],
    "one row on each": [1, 1],
    "one row": [0, 1],
    "no row": [0, 0],
}
STEPS = 3
Outcome = dict[str, Tensor]


def rows_of(split: list[int], step: int) -> Tensor:
    """Rows (R, 3) of all ranks, far from 0 and different on each rank."""
    draw = torch.Generator().manual_seed(step)
    rows = 100 + torch.randn(sum(split), 3, dtype=torch.float64, generator=draw)
    rows[split[0] :] -= 7
    return rows


def train(split: list[int], *, affine: bool) -> Outcome:
    """Normalize this rank's part of some batches, all of it when alone; the loss is the sum over ranks."""
    torch.manual_seed(0)
    world = current_world()
    norm = BatchNorm(3, affine=affine).double()
    for parameter in norm.parameters():
        torch.nn.init.normal_(parameter)
    first = sum(split[: world.rank])
    mine = slice(first, first + split[world.rank]) if world.size > 1 else slice(None)
    found: Outcome = {}
    for step in range(STEPS):
        rows = rows_of(split, step)[mine].requires_grad_()
        weights = torch.randn(sum(split), 3, dtype=torch.float64, generator=torch.Generator().manual_seed(step + 9))
        normal = norm(rows)
        (normal.square() * weights[mine]).sum().backward()
        assert rows.grad is not None
        found |= {f"output {step}": normal.detach(), f"gradient of rows {step}": rows.grad}
    return found | {f"gradient of {name}": p.grad for name, p in norm.named_parameters()} | dict(norm.named_buffers())


def train_all() -> dict[Any, Outcome]:
    return {(name, affine): train(split, affine=affine) for name, split in SPLITS.items() for affine in (True, False)}


@pytest.fixture(scope="module")
def outcomes() -> list[dict[Any, Outcome]]:
    return [train_all(), *run_on_ranks(train_all)]


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("split", SPLITS)
def test_two_ranks_do_what_one_process_does(split: str, affine: bool, outcomes: list[dict[Any, Outcome]]) -> None:
    alone, first, second = (outcome[split, affine] for outcome in outcomes)
    assert alone.keys() == first.keys() == second.keys()
    for name, expected in alone.items():
        if name in ("running_mean", "running_var"):
            assert torch.equal(first[name], second[name]), name
            found = first[name]
        elif name in ("gradient of weight", "gradient of bias"):
            found = first[name] + second[name]
        else:
            found = torch.cat([first[name], second[name]])
        torch.testing.assert_close(
            found, expected, rtol=1e-10, atol=1e-10, msg=lambda text, name=name: f"{name}: {text}"
        )


def evaluate_on_one_rank() -> list[float] | None:
    """Would hang if anything were exchanged."""
    norm = BatchNorm(2).eval()
    return None if current_world().rank else norm(torch.ones(1, 2)).flatten().tolist()


def test_in_eval_mode_ranks_do_not_meet() -> None:
    first, _ = run_on_ranks(evaluate_on_one_rank)
    assert first == pytest.approx([1.0, 1.0], abs=1e-4)


def normalize_shared() -> tuple[Tensor, Tensor, Tensor]:
    """Both ranks hold row 0 of three; its gradient is in two parts."""
    world = current_world()
    rows = torch.tensor([[1.0], [5.0], [6.0]], dtype=torch.float64)
    held = {1: [[0, 1, 2]], 2: [[0, 1], [0, 2]]}[world.size][world.rank]
    shares = None if world.size == 1 else torch.tensor([[0.5], [1.0]], dtype=torch.float64)
    norm, mine = BatchNorm(1).double(), rows[held].requires_grad_()
    normal = norm(mine, shares)
    slope = torch.tensor([[1.0], [2.0], [-4.0]], dtype=torch.float64)[held]
    (normal * slope * (1 if shares is None else shares)).sum().backward()
    assert mine.grad is not None
    gradient = torch.zeros(3, 1, dtype=torch.float64).index_add_(0, torch.tensor(held), mine.grad)
    return gradient, norm.running_mean, norm.running_var


def test_a_row_that_two_ranks_hold_counts_once() -> None:
    expected = normalize_shared()
    (first, *averages), (second, *others) = run_on_ranks(normalize_shared)
    torch.testing.assert_close(first + second, expected[0])
    torch.testing.assert_close(averages, list(expected[1:]))
    assert all(torch.equal(one, other) for one, other in zip(averages, others, strict=True))


def half_precision() -> Tensor:
    with torch.autocast("cpu", torch.bfloat16):
        normal = BatchNorm(3)(rows_of([4, 4], 0).bfloat16())
    assert normal.dtype == torch.bfloat16
    return normal


def test_statistics_of_bfloat16_rows_are_float32() -> None:
    alone, (first, second) = half_precision(), run_on_ranks(half_precision)
    torch.testing.assert_close(first, alone, rtol=0.02, atol=0.02)
    torch.testing.assert_close(second, alone, rtol=0.02, atol=0.02)
