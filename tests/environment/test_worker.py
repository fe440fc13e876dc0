from pathlib import Path

import pytest

from recsys.environment.worker import REASON, Failure, RankInfo, describe_exit, place, tell_launcher
from recsys.errors import EnvironmentError_

GIVEN = {
    "RANK": "5",
    "WORLD_SIZE": "8",
    "LOCAL_RANK": "1",
    "LOCAL_WORLD_SIZE": "4",
    "MASTER_ADDR": "one",
    "MASTER_PORT": "29500",
}


def test_a_place_is_read_from_the_variables_of_torchrun() -> None:
    assert place(GIVEN) == RankInfo(5, 8, 1, 4, "one", 29500)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"WORLD_SIZE": ""}, "has no WORLD_SIZE"),
        ({"RANK": ""}, "has no RANK"),
        ({"MASTER_PORT": ""}, "has no MASTER_PORT"),
        ({"LOCAL_RANK": ""}, "has no LOCAL_RANK"),
        ({"RANK": "8"}, "RANK must be from 0 to WORLD_SIZE - 1, got RANK=8, WORLD_SIZE=8"),
        ({"RANK": "first"}, "RANK in the environment must be a whole number, got 'first'"),
        ({"LOCAL_RANK": "4"}, "LOCAL_RANK must be from 0 to LOCAL_WORLD_SIZE - 1"),
        ({"LOCAL_WORLD_SIZE": "3"}, "as many ranks, got WORLD_SIZE=8, LOCAL_WORLD_SIZE=3"),
    ],
)
def test_variables_that_contradict_each_other_are_refused(change: dict[str, str], problem: str) -> None:
    with pytest.raises(EnvironmentError_, match=problem):
        place(GIVEN | change)


def test_the_first_reason_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(REASON, str(tmp_path / "reason"))
    assert tell_launcher(Failure(1, "no memory", 2))
    assert tell_launcher(Failure(0, "lost a rank", 1))
    assert Failure.from_json((tmp_path / "reason").read_text()) == Failure(1, "no memory", 2)


def test_without_a_launcher_a_process_must_say_it_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not tell_launcher(Failure(1, "x", 1))
    monkeypatch.setenv(REASON, str(tmp_path / "gone" / "reason"))
    assert not tell_launcher(Failure(1, "x", 1))


def test_only_the_signal_of_a_full_memory_comes_with_a_hint() -> None:
    assert describe_exit(-9).endswith("(SIGKILL), as the system does when memory runs out")
    assert describe_exit(-11) == "the process was killed (SIGSEGV)"
    assert describe_exit(3) == "the process ended with exit code 3"
