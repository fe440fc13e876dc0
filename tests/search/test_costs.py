import json
from pathlib import Path
from typing import Any

import pytest

from recsys.errors import DataError
from recsys.progress import no_progress
from recsys.search import costs
from recsys.search.costs import Cost, CostClock


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[Cost]:
    """The clock: the last entry is the present time."""
    times = [Cost(0.0, 0.0)]
    monkeypatch.setattr(costs, "_now", lambda: times[-1])
    return times


def test_the_time_of_a_part_is_added_up_over_calls_and_processes(tmp_path: Path, now: list[Cost]) -> None:
    for _ in range(2):
        clock = CostClock(tmp_path / "costs.json")
        with clock.measuring("supernet", no_progress):
            now.append(now[-1].plus(Cost(3.0, 5.0)))
        with clock.measuring("candidates", no_progress):
            now.append(now[-1].plus(Cost(1.0, 1.0)))
    assert clock.of("supernet") == (6.0, 10.0)
    assert clock.of("supernet", "candidates", "unknown") == (8.0, 12.0)


def test_a_kill_loses_no_more_than_what_came_after_the_last_report(
    tmp_path: Path, now: list[Cost], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(costs, "SAVE_SECONDS", 0.0)
    reports: list[Any] = []
    with CostClock(tmp_path / "costs.json").measuring("supernet", lambda *report: reports.append(report)) as report:
        now.append(Cost(3.0, 5.0))
        report("fit", 1, 2)
        now.append(Cost(4.0, 6.0))
        assert CostClock(tmp_path / "costs.json").of("supernet") == (3.0, 5.0)
    assert reports == [("supernet: fit", 1, 2)]


def test_a_damaged_file_is_refused_with_a_remedy(tmp_path: Path) -> None:
    with CostClock(tmp_path / "costs.json").measuring("a", no_progress):
        pass
    facts = json.loads((tmp_path / "costs.json").read_text())
    (tmp_path / "costs.json").write_text(json.dumps(facts | {"a": [1, 2]}))
    with pytest.raises(DataError, match=r"costs.json: is damaged.*delete it"):
        CostClock(tmp_path / "costs.json")
