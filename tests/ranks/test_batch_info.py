import pytest
import torch
from torch import Tensor

from recsys.ranks import SINGLE_PROCESS, BatchInfo, Exchange, StepSignals, World, current_world
from tests.ranks.run_on_ranks import run_on_ranks


def test_a_single_process_knows_its_batch_and_polls_no_signals() -> None:
    exchange = Exchange(SINGLE_PROCESS, poll_signals=lambda: StepSignals(stop=True))
    assert exchange.all_gather_batch_info(7) == BatchInfo(7, StepSignals())
    assert exchange.count_holders(torch.tensor([5, 3])).tolist() == [1, 1]


def gather() -> tuple[BatchInfo, BatchInfo, Tensor]:
    world = current_world()
    asks = StepSignals(save=world.rank == 1)
    exchange = Exchange(World(world.rank, world.size), poll_signals=lambda: asks)
    silent = Exchange(World(world.rank, world.size))
    keys = torch.tensor([[3, 9, 4], [8, 9]][world.rank])
    return (
        exchange.all_gather_batch_info([7, 9][world.rank]),
        silent.all_gather_batch_info(0),
        exchange.count_holders(keys),
    )


@pytest.mark.ranks
def test_the_largest_part_counts_and_one_rank_may_ask_for_all() -> None:
    first, second = run_on_ranks(gather)
    assert first[:2] == second[:2] == (BatchInfo(9, StepSignals(save=True)), BatchInfo(0, StepSignals()))
    assert (first[2].tolist(), second[2].tolist()) == ([1, 2, 1], [1, 2])
