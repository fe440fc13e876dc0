import pytest

from recsys.errors import EnvironmentError_
from recsys.launch.torchrun import RankInfo, rank_info

GIVEN = {
    "RANK": "5",
    "WORLD_SIZE": "8",
    "LOCAL_RANK": "1",
    "LOCAL_WORLD_SIZE": "4",
    "MASTER_ADDR": "one",
    "MASTER_PORT": "29500",
}


def test_a_rank_is_read_from_the_variables_of_torchrun() -> None:
    assert rank_info(GIVEN) == RankInfo(5, 8, 1, 4, "one", 29500)


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
        rank_info(GIVEN | change)


def test_a_process_that_nobody_gave_a_rank_has_none_and_a_single_one_needs_no_address() -> None:
    assert rank_info({"MASTER_ADDR": "one"}) is None
    assert rank_info({"RANK": "0", "WORLD_SIZE": "1"}) == RankInfo(0, 1, 0, 1, "", 0)
