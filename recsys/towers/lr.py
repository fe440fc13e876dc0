"""Logistic regression, the yardstick of every other tower.

Dimension key: B rows of a batch, C floats of all fields of a row, N numbers, T tasks.
"""

import torch
from torch import Tensor, nn

from recsys.config.towers.lr import LrModel
from recsys.errors import ConfigError
from recsys.towers.base import Behaviour, Tower, TowerInputs
from recsys.towers.ranking import Ranking, split_linear

__all__ = ["Lr"]


class Lr(Tower):
    """Logistic regression: the logit is the sum of one weight for each id, w_m x_m for each number, and a bias.

    The weight of an id is the sum of its embedding row. With T tasks, task t owns the components t, t + T, t + 2T, ...
    of every row, so that the tasks share nothing.

    Raises:
        ConfigError: A row has fewer components than there are tasks.
    """

    section = LrModel
    owned: Tensor

    def __init__(self, inputs: TowerInputs, config: LrModel) -> None:
        super().__init__()
        del config
        num_tasks = inputs.num_tasks
        if min(inputs.dims, default=num_tasks) < num_tasks:
            raise ConfigError(
                f"model.dim: tower lr needs one component for each of {num_tasks} labels, got {inputs.dims}"
            )
        owner_C = torch.tensor([i % num_tasks for dim in inputs.dims for i in range(dim)])
        self.register_buffer("owned", (owner_C == torch.arange(num_tasks)[:, None]).float(), persistent=False)
        self.weight = nn.Parameter(torch.zeros(num_tasks, inputs.num_numbers)) if inputs.num_numbers else None
        self.bias = nn.Parameter(torch.zeros(num_tasks))

    def forward(self, fields: Tensor, numbers: Tensor, behaviours: list[Behaviour]) -> Tensor:
        del behaviours
        logits_BT = self.bias + (fields.unsqueeze(1) * self.owned).sum(2)
        if self.weight is not None:
            logits_BT = logits_BT + (numbers.unsqueeze(1) * self.weight).sum(2)
        return logits_BT

    def rank(self, ranking: Ranking) -> Tensor:
        """Return the logits; the users' weights are added up once a user."""
        logits_BT = split_linear(ranking.fields, ranking.users, self.owned, self.bias)
        if self.weight is not None:
            logits_BT = logits_BT + split_linear(ranking.numbers, ranking.users, self.weight, None)
        return logits_BT
