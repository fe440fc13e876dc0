"""Memory of the dense part of a model, which every rank holds beside its shards of the tables."""

from collections.abc import Iterable
from typing import NamedTuple

from torch import nn

from recsys.config import TrainSection
from recsys.embeddings.layout import Layout
from recsys.embeddings.scheme import DENSE_STATE, tensor_bytes

__all__ = ["DenseMemory", "dense_memory"]


class DenseMemory(NamedTuple):
    """Bytes of the part of a model that is trained data parallel."""

    gradient_bytes: int
    """Gradients, which are summed over all ranks in each step."""
    total_bytes: int
    """Everything on each rank: parameters, gradients, optimizer state, and what schemes keep beside their tables."""


def dense_memory(layout: Layout, others: Iterable[nn.Module], train: TrainSection) -> DenseMemory:
    """Return the memory of the schemes of a layout and of other dense modules, such as the tower."""
    schemes = list(layout.schemes.values())
    modules = [*others, *schemes]
    gradients = sum(p.numel() * p.element_size() for module in modules for p in module.parameters())
    tensors = sum(tensor_bytes(module) for module in modules)
    state = DENSE_STATE[train.dense_optimizer.name] * gradients
    sparse, dense = train.sparse_optimizer.name, train.dense_optimizer.name
    own = 0
    for scheme in schemes:
        if not scheme.physical_tables():  # it has rows of its own, with an optimizer state
            own += max(0, scheme.bytes("training", sparse=sparse, dense=dense) - tensor_bytes(scheme))
    return DenseMemory(gradients, tensors + state + own + 2 * gradients)  # gradients, and a copy while they are sent
