from typing import Any

import pytest
import torch

from recsys.errors import ConfigError
from recsys.ranks import (
    all_gather_rows,
    broadcast,
    current_world,
    gather_rows_to_rank_zero,
    on_rank_zero,
    sum_over_ranks,
)
from tests.ranks.run_on_ranks import run_on_ranks

ROWS = ([[1.0, 2.0]], [[3.0, 4.0], [5.0, 6.0]])


def refuse() -> int:
    raise ConfigError("no")


def exchange_all() -> dict[str, Any]:
    rank = current_world().rank
    rows, calls = torch.tensor(ROWS[rank]), []
    found: dict[str, Any] = {
        "sum": sum_over_ranks(torch.tensor(1.0 + rank)).item(),
        "all": [part.tolist() for part in all_gather_rows(rows)],
        "empty": [len(part) for part in all_gather_rows(rows[:rank])],
        "broadcast": broadcast({"rank": rank}, source=1) if current_world().size > 1 else broadcast({"rank": rank}),
        "decided": on_rank_zero(lambda: calls.append(rank) or rank),
        "calls": calls,
    }
    gathered = gather_rows_to_rank_zero(rows)
    with pytest.raises(ConfigError, match="no"):
        on_rank_zero(refuse)
    return found | {"gathered": None if gathered is None else [part.tolist() for part in gathered]}


def test_a_single_process_gets_back_what_it_gives() -> None:
    assert exchange_all() == {
        "sum": 1.0,
        "all": [ROWS[0]],
        "empty": [0],
        "broadcast": {"rank": 0},
        "decided": 0,
        "calls": [0],
        "gathered": [ROWS[0]],
    }


@pytest.mark.ranks
def test_two_ranks_share_rows_of_different_numbers_decisions_and_refusals() -> None:
    first, second = run_on_ranks(exchange_all)
    shared = {"sum": 3.0, "all": list(ROWS), "empty": [0, 1], "broadcast": {"rank": 1}, "decided": 0}
    assert first == shared | {"calls": [0], "gathered": list(ROWS)}
    assert second == shared | {"calls": [], "gathered": None}
