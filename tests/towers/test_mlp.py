import torch

from recsys.config.towers.mlp import MlpModel
from recsys.towers import TowerInputs
from recsys.towers.mlp import Mlp


def test_fields_of_any_width_and_numbers_are_laid_side_by_side() -> None:
    inputs = TowerInputs(dims=[2, 1], num_numbers=1, behaviours=[], num_tasks=1)
    tower = Mlp(inputs, MlpModel(tower="mlp", mlp=()))
    (linear,) = tower.mlp.layers
    linear.load_state_dict({"weight": torch.tensor([[1.0, 10.0, 100.0, 1000.0]]), "bias": torch.tensor([0.5])})
    assert tower(torch.tensor([[1.0, 2.0, 3.0]]), torch.tensor([[4.0]]), []).tolist() == [[4321.5]]
