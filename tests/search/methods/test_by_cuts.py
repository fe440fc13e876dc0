"""Candidates by cuts, within budgets."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from recsys.data.prepared import Prepared
from recsys.search.cuts import BlockCuts, Order, prefix_orders
from recsys.search.methods import by_cuts
from recsys.search.methods.base import Request
from recsys.search.methods.by_cuts import cut_candidates
from recsys.search.supernet import table_bytes
from tests.search.nets import build_supernet, make_prepared

FULL = 4 * 8 * (21 + 13)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return make_prepared(tmp_path_factory.mktemp("log"))


def test_candidates_are_those_that_lose_least_within_each_budget(
    prepared: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = build_supernet(prepared, num_blocks=2)
    columns = ((), (0, 1, 2, 3), tuple(range(8)))

    def measure(_sample: Any, orders: Mapping[str, Order], *_: Any, **__: Any) -> list[BlockCuts]:
        blocks = [(name, block) for name, order in orders.items() for block in range(len(order))]
        losses = {"user": (2.0, 1.0, 0.0), "item": (0.2, 0.0, 0.0)}
        return [BlockCuts(name, block, columns, losses[name]) for name, block in blocks]

    monkeypatch.setattr(by_cuts, "measure_cuts", measure)
    budgets = [FULL // 4, FULL // 2, 8 * 13]
    request = Request(loaded=loaded, prepared=prepared, budgets=budgets, state=tmp_path)
    found = list(cut_candidates(request, prefix_orders(loaded)))
    sizes = [table_bytes(loaded, one.shapes).serving for one in found]
    assert [one.name for one in found] == [f"{size}-bytes" for size in sizes]
    assert all(size <= budget for size, budget in zip(sizes, sorted(budgets, reverse=True), strict=True))
    assert found[0].shapes["user"].is_whole
    assert found[0].shapes["item"].widths == (4,)


def test_a_budget_below_what_is_not_searched_is_told(prepared: Prepared, tmp_path: Path) -> None:
    lines: list[str] = []
    loaded = build_supernet(prepared, num_blocks=2)
    request = Request(loaded=loaded, prepared=prepared, budgets=[-8], state=tmp_path, log=lines.append)
    assert not list(cut_candidates(request, prefix_orders(loaded)))
    assert len(lines) == 1
    assert "cannot be reached: tables that are not searched take 0 B" in lines[0]
