"""Inputs of towers, made of random numbers."""

import torch
from torch import Tensor

from recsys.config.towers import AutoIntModel, DinModel, FmModel, LrModel, MlpModel, Model
from recsys.towers import Behaviour, BehaviourInputs, TowerInputs

# One or more configs of every tower; between them they use every option that changes what is computed.
MODELS: dict[str, Model] = {
    "lr": LrModel(tower="lr"),
    "fm": FmModel(tower="fm"),
    "mlp": MlpModel(tower="mlp", mlp=(12, 6)),
    "mlp dice": MlpModel(tower="mlp", mlp=(12, 6), activation="dice"),
    "mlp prelu": MlpModel(tower="mlp", mlp=(12, 6), activation="prelu", dropout=0.2),
    "autoint": AutoIntModel(tower="autoint", layers=2, attention_dim=8),
    "autoint no layers": AutoIntModel(tower="autoint", layers=0),
    "autoint no residual": AutoIntModel(tower="autoint", layers=1, attention_dim=8, residual=False),
    "autoint+": AutoIntModel(
        tower="autoint",
        layers=1,
        heads=4,
        attention_dim=12,
        scale=True,
        layer_norm=True,
        attention_dropout=0.1,
        dropout=0.1,
        mlp=(10,),
    ),
    "din": DinModel(tower="din", mlp=(12, 6), attention=(10, 5)),
    "din softmax": DinModel(tower="din", mlp=(12,), attention=(10,), attention_softmax=True),
    "din dice": DinModel(tower="din", mlp=(12,), attention=(10,), attention_activation="dice"),
    "din linear": DinModel(tower="din", mlp=(12,), attention=()),
}

INPUTS = TowerInputs(
    dims=[8, 8, 8],
    num_numbers=2,
    behaviours=[BehaviourInputs(target_fields=[1, 2], dim=16), BehaviourInputs(target_fields=[0], dim=8)],
    num_tasks=1,
)

Batch = tuple[Tensor, Tensor, list[Behaviour]]


def batch(inputs: TowerInputs, num_rows: int, *, seed: int = 0, lengths: list[int] | None = None) -> Batch:
    """Draw the arguments of `Tower.forward`; histories have the given lengths or cycle through 2, 0, 1, 3."""
    draw = torch.Generator().manual_seed(seed)
    lengths = [[2, 0, 1, 3][i % 4] for i in range(num_rows)] if lengths is None else lengths
    return (
        torch.randn(num_rows, sum(inputs.dims), generator=draw),
        torch.randn(num_rows, inputs.num_numbers, generator=draw),
        [
            Behaviour(
                target=torch.randn(num_rows, behaviour.dim, generator=draw),
                history=torch.randn(sum(lengths), behaviour.dim, generator=draw),
                lengths=torch.tensor(lengths, dtype=torch.int32),
            )
            for behaviour in inputs.behaviours
        ],
    )


def row(arguments: Batch, index: int) -> Batch:
    """Cut one row out of a batch."""
    fields, numbers, behaviours = arguments
    return fields[index : index + 1], numbers[index : index + 1], [_row(b, index) for b in behaviours]


def _row(behaviour: Behaviour, index: int) -> Behaviour:
    end = int(behaviour.lengths[: index + 1].sum())
    start = end - int(behaviour.lengths[index])
    return Behaviour(
        behaviour.target[index : index + 1], behaviour.history[start:end], behaviour.lengths[index : index + 1]
    )
