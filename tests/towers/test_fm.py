import itertools

import pytest
import torch

from recsys.config.towers.fm import FmModel
from recsys.errors import ConfigError
from recsys.towers import TowerInputs
from recsys.towers.fm import Fm


def fm(*, dims: list[int], num_numbers: int = 0, num_tasks: int = 1) -> Fm:
    inputs = TowerInputs(dims=dims, num_numbers=num_numbers, behaviours=[], num_tasks=num_tasks)
    return Fm(inputs, FmModel(tower="fm"))


def test_the_logit_is_the_sum_over_all_pairs_of_fields_and_numbers() -> None:
    torch.manual_seed(0)
    tower = fm(dims=[8] * 4, num_numbers=2)
    assert tower.rows.of_numbers is not None
    torch.nn.init.normal_(tower.rows.of_numbers.weight)
    torch.nn.init.constant_(tower.bias, 0.5)
    fields, numbers = torch.randn(3, 32), torch.randn(3, 2)
    rows = torch.cat([fields.view(3, 4, 8), numbers[:, :, None] * tower.rows.of_numbers.weight], dim=1)
    pairs = sum((rows[:, i, 1:] * rows[:, j, 1:]).sum(1) for i, j in itertools.combinations(range(6), 2))
    torch.testing.assert_close(tower(fields, numbers, []), (0.5 + rows[:, :, 0].sum(1) + pairs)[:, None])


def test_one_field_has_no_pairs() -> None:
    assert fm(dims=[4])(torch.tensor([[7.0, 1.0, 2.0, 3.0]]), torch.empty(1, 0), []).tolist() == [[7.0]]


def test_tasks_are_machines_of_their_own_on_every_other_component() -> None:
    torch.manual_seed(0)
    both, single = fm(dims=[8, 8, 8], num_tasks=2), fm(dims=[4, 4, 4])
    fields = torch.randn(5, 24)
    logits = both(fields, torch.empty(5, 0), [])
    for task in range(2):
        own = fields.view(5, 3, 8)[:, :, task::2].reshape(5, 12)
        torch.testing.assert_close(logits[:, task : task + 1], single(own, torch.empty(5, 0), []))


def test_a_row_must_have_a_weight_and_a_factor_for_each_task() -> None:
    with pytest.raises(ConfigError, match=r"at least 2 for each of 3 labels, got 4"):
        fm(dims=[4, 4], num_tasks=3)
