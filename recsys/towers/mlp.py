"""Embeddings and a multi-layer perceptron, the base model of most papers on click-through rates."""

import torch
from torch import Tensor

from recsys.config.towers.mlp import MlpModel
from recsys.towers.base import Behaviour, Tower, TowerInputs
from recsys.towers.layers import mlp_of
from recsys.towers.ranking import Ranking, side_by_side

__all__ = ["Mlp"]


class Mlp(Tower):
    """A multi-layer perceptron on the fields and numbers, side by side."""

    section = MlpModel

    def __init__(self, inputs: TowerInputs, config: MlpModel) -> None:
        super().__init__()
        num_inputs = sum(inputs.dims) + inputs.num_numbers
        self.mlp = mlp_of(config, num_inputs=num_inputs, num_outputs=inputs.num_tasks)

    def forward(self, fields: Tensor, numbers: Tensor, behaviours: list[Behaviour]) -> Tensor:
        del behaviours
        logits_BT: Tensor = self.mlp(torch.cat([fields, numbers], dim=1))
        return logits_BT

    def rank(self, ranking: Ranking) -> Tensor:
        """Return the logits; the users' part of the first product is worked out once a user."""
        logits_BT: Tensor = self.mlp.rank(side_by_side([ranking.fields, ranking.numbers]), ranking.users)
        return logits_BT
