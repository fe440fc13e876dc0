import pytest
import torch

from recsys.config.towers.lr import LrModel
from recsys.errors import ConfigError
from recsys.towers import TowerInputs
from recsys.towers.lr import Lr


def lr(*, dims: list[int], num_numbers: int = 0, num_tasks: int = 1) -> Lr:
    inputs = TowerInputs(dims=dims, num_numbers=num_numbers, behaviours=[], num_tasks=num_tasks)
    return Lr(inputs, LrModel(tower="lr"))


def test_the_logit_is_the_sum_of_all_weights_and_weighted_numbers_and_the_bias() -> None:
    tower = lr(dims=[4, 2], num_numbers=2)
    assert tower.weight is not None
    tower.load_state_dict({"weight": torch.tensor([[10.0, 100.0]]), "bias": torch.tensor([1000.0])})
    fields = torch.tensor([[1.0, 2.0, 3.0, 4.0, 0.5, 0.25]])
    assert tower(fields, torch.tensor([[2.0, 3.0]]), []).tolist() == [[10.75 + 20 + 300 + 1000]]


def test_tasks_own_every_other_component_of_each_field() -> None:
    tower = lr(dims=[3, 2], num_tasks=2)
    fields = torch.tensor([[1.0, 10.0, 100.0, 1000.0, 10000.0]])
    assert tower(fields, torch.empty(1, 0), []).tolist() == [[1101.0, 10010.0]]


def test_a_row_must_have_a_component_for_each_task() -> None:
    with pytest.raises(ConfigError, match=r"one component for each of 5 labels, got \[8, 4\]"):
        lr(dims=[8, 4], num_tasks=5)
