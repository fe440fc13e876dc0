"""Inputs of towers, made of random numbers."""

import torch
from torch import Tensor

from recsys.config.towers import TOWERS, TowerSection
from recsys.towers import Behaviour, BehaviourInputs, TowerInputs

MODELS: dict[str, TowerSection] = {
    f"{name} {example}".rstrip(): section.model_validate({"tower": name, **keys})
    for name, section in TOWERS.items()
    for example, keys in section.examples.items()
}
"""The examples of all towers; between them they use every option that changes what is computed."""

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
