"""The inputs of a tower, made from vectors of ids, in training and in the exported graph alike (all of it scripts).

Dimension key: B rows, V ids of one field in the batch, D width of its vectors.
"""

import torch
from torch import Tensor

from recsys.towers.base import Behaviour
from recsys.towers.layers import segment_sum

__all__ = ["make_behaviours", "pool"]


def pool(vectors: Tensor, lengths_B: Tensor, pooling: str, is_summed: bool) -> Tensor:
    """Make one vector a row of a list's vectors; an empty list gives zeros.

    Args:
        vectors: (V, D), the lists laid end to end; (B, D) if they are summed already.
        lengths_B: entries of each row's list.
        pooling: "mean" or "sum".
        is_summed: whether the lookup has summed the vectors of each row.

    Returns:
        (B, D).

    Example:
        >>> pool(torch.tensor([[1.0], [2.0], [9.0]]), torch.tensor([2, 0, 1]), "mean", False).tolist()
        [[1.5], [0.0], [9.0]]
    """
    summed = vectors if is_summed else segment_sum(vectors, lengths_B)
    return summed / lengths_B.clamp(min=1).unsqueeze(1) if pooling == "mean" else summed


def make_behaviours(
    sequences: list[list[str]], targets: list[list[str]], vectors: dict[str, Tensor], lengths: dict[str, Tensor]
) -> list[Behaviour]:
    """Put the sequences of each behaviour side by side, and the fields that the first of them are histories of.

    Args:
        sequences: the sequences of each behaviour; entry i of all of them is one event.
        targets: for each behaviour, the fields whose values its first sequences hold.
        vectors: field -> (B, D) of a target, (V, D) of a sequence.
        lengths: sequence -> entries of each row, (B,).
    """
    behaviours: list[Behaviour] = []
    for i, names in enumerate(sequences):
        target = torch.cat([vectors[name] for name in targets[i]], dim=1)
        history = torch.cat([vectors[name] for name in names], dim=1)
        behaviours.append(Behaviour(target, history, lengths[names[0]]))
    return behaviours
