"""Candidates by cuts: for small budgets, cuts are measured where most is cut already."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from recsys.data.prepared import Prepared
from recsys.search.cuts import BlockCuts, Order, prefix_orders
from recsys.search.methods import by_cuts
from recsys.search.methods.base import Request
from recsys.search.methods.by_cuts import cut_candidates
from recsys.search.shape import TableShape
from recsys.search.supernet import table_bytes
from tests.search.nets import build_supernet, make_prepared

FULL = 4 * 8 * (21 + 13)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return make_prepared(tmp_path_factory.mktemp("log"))


@pytest.mark.parametrize(
    ("budgets", "contexts"), [([FULL], ["whole"]), ([FULL, FULL // 4, FULL // 2], ["whole", "quarter"])]
)
def test_cuts_for_small_budgets_are_measured_where_a_quarter_is_left(
    budgets: Sequence[int],
    contexts: list[str],
    prepared: Prepared,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loaded = build_supernet(prepared, num_blocks=2)
    seen: list[str] = []
    columns = ((), (0, 1, 2, 3), tuple(range(8)))

    def measure(
        _sample: Any, orders: Mapping[str, Order], context: Mapping[str, TableShape], **_: Any
    ) -> list[BlockCuts]:
        seen.append("whole" if table_bytes(loaded, context).serving == FULL else "quarter")
        losses = (2.0, 1.0, 0.0) if len(seen) == 1 else (0.0, 1.0, 2.0)  # the second time, nothing is worth its bytes
        return [
            BlockCuts(name, block, columns, losses) for name, order in orders.items() for block in range(len(order))
        ]

    monkeypatch.setattr(by_cuts, "measure_cuts", measure)
    request = Request(loaded=loaded, prepared=prepared, budgets=budgets, state=tmp_path)
    found = list(cut_candidates(request, prefix_orders(loaded)))
    assert seen == contexts
    assert [one.name for one in found] == [f"{budget}-bytes" for budget in sorted(budgets, reverse=True)]
    sizes = [table_bytes(loaded, one.shapes).serving for one in found]
    assert sizes == [FULL, *[0] * (len(budgets) - 1)]


def test_a_budget_below_what_is_not_searched_is_told(prepared: Prepared, tmp_path: Path) -> None:
    lines: list[str] = []
    loaded = build_supernet(prepared, num_blocks=2)
    request = Request(loaded=loaded, prepared=prepared, budgets=[-8], state=tmp_path, log=lines.append)
    assert not list(cut_candidates(request, prefix_orders(loaded)))
    assert len(lines) == 1
    assert "cannot be reached: tables that are not searched take 0 B" in lines[0]
