import os
from pathlib import Path

import pytest

from recsys.launch.workers import worker_environment
from tests.launch.processes import run_fake_workers


@pytest.mark.ranks
def test_ranks_share_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    expected = max(1, len(os.sched_getaffinity(0)) // 2)
    assert run_fake_workers("0:print-threads", "1:0").lines == [f"threads {expected}"]
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert run_fake_workers("0:print-threads", "1:0").lines == ["threads 7"]


def test_variables_that_the_user_has_set_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "eth7")
    monkeypatch.setenv("WORLD_SIZE", "9")
    found = worker_environment(2, 1234, tmp_path)
    assert (found["GLOO_SOCKET_IFNAME"], found["WORLD_SIZE"], found["MASTER_PORT"]) == ("eth7", "2", "1234")
