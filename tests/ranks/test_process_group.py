import subprocess
import sys

import pytest
from torch import distributed

from recsys.errors import EnvironmentError_
from recsys.ranks import SINGLE_PROCESS, World
from recsys.ranks.process_group import (
    checkpoint_group,
    destroy_process_group,
    init_process_group,
    process_group,
    reader_group,
)
from tests.launch.processes import run_fake_workers
from tests.ranks.run_on_ranks import run_on_ranks
from tests.ranks.unsupervised import WORKER, started, wait_for_end


def test_without_torchrun_a_process_is_a_group_of_one() -> None:
    with process_group("cpu") as world:
        assert world == SINGLE_PROCESS
        assert reader_group() is None
        assert checkpoint_group() is None
    assert distributed.is_initialized()
    destroy_process_group()
    assert init_process_group("cpu") == SINGLE_PROCESS


def groups_of_a_rank() -> tuple[World, int]:
    world = init_process_group("cpu")
    groups = [distributed.group.WORLD, reader_group(), checkpoint_group()]
    for group in groups:
        distributed.barrier(group)
    return world, len(set(groups))


@pytest.mark.ranks
def test_ranks_that_have_a_group_already_get_those_beside_it() -> None:
    assert run_on_ranks(groups_of_a_rank) == [(World(0, 2, 0, 2), 3), (World(1, 2, 1, 2), 3)]


@pytest.mark.ranks
def test_a_rank_that_never_comes_is_named() -> None:
    with started("0:join-soon", "2:join-soon", size=3) as ranks:
        code, lines = wait_for_end(ranks[0], within=60)
    assert code == 2
    assert lines[-1].startswith("error: 2 of 3 ranks came to 127.0.0.1:")
    assert lines[-1].endswith(" within 5 s; missing: 1; see what they and their hosts say")


@pytest.mark.ranks
def test_the_first_rank_never_coming_is_said_too() -> None:
    with started("1:join-soon", size=2) as ranks:
        code, lines = wait_for_end(ranks[0], within=60)
    assert code == 2
    assert lines[-1].startswith("error: rank 1: rank 0 did not answer at 127.0.0.1:")


def test_more_ranks_than_devices_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from recsys.launch.torchrun import RankInfo
    from recsys.ranks.process_group import _set_device

    monkeypatch.setattr("torch.cuda.device_count", lambda: 3)
    with pytest.raises(
        EnvironmentError_, match=r"4 processes .* want a CUDA device each, but torch sees 3.*--devices 3"
    ):
        _set_device(RankInfo(0, 4, 0, 4, "", 0))


@pytest.mark.ranks
def test_a_rank_that_fails_while_joining_ends_all() -> None:
    code, lines, seconds = run_fake_workers("0:join,barriers", "1:user-error")
    assert (code, lines[0]) == (2, "error: log.csv: is not there")
    assert seconds < 30


@pytest.mark.proof
@pytest.mark.parametrize(
    ("words", "code", "errors"),
    [("1:join,1", 0, []), ("1:join,1,user-error", 1, ["error: log.csv: is not there"])],
)
def test_torchrun_may_start_the_processes(words: str, code: int, errors: list[str]) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    process = subprocess.run(
        [*command, str(WORKER), "0:join,2", words], capture_output=True, text=True, timeout=90, check=False
    )
    assert process.returncode == code
    assert [line for line in process.stderr.splitlines() if line.startswith("error: ")] == errors
