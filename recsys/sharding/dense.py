"""What every rank holds beside its parts of tables."""

from collections.abc import Iterable
from typing import NamedTuple

from torch import nn

from recsys.config import TrainSection
from recsys.embeddings.layout import Layout
from recsys.embeddings.scheme import DENSE_STATE, tensor_bytes

__all__ = ["Dense", "dense_of"]


class Dense(NamedTuple):
    """Bytes of the part of a model that is trained data parallel."""

    gradients: int
    """Summed over all ranks in each step."""
    held: int
    """On each rank: parameters, gradients, the optimiser's state, what schemes keep beside tables."""


def dense_of(layout: Layout, others: Iterable[nn.Module], train: TrainSection) -> Dense:
    """Add up the parameters of the schemes of a layout and of other modules, such as the tower."""
    schemes = list(layout.schemes.values())
    modules = [*others, *schemes]
    gradients = sum(p.numel() * p.element_size() for module in modules for p in module.parameters())
    held = sum(tensor_bytes(module) for module in modules)
    state = DENSE_STATE[train.dense_optimizer.name] * gradients
    own = 0
    for scheme in schemes:
        if not scheme.physical():  # rows of its own, and their optimiser's state
            told = scheme.bytes("training", sparse=train.sparse_optimizer.name, dense=train.dense_optimizer.name)
            own += max(0, told - tensor_bytes(scheme))
    return Dense(gradients, held + state + own + 2 * gradients)  # gradients, and their copy on its way
