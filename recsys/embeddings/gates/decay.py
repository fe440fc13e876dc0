"""Decay of all rows of a table, visited or not, by which methods that judge rows by their size forget the rare ones.

A fused sparse optimizer gives rows no decay at all here, and any that it could give would only reach the rows of the
batch: a row that is never read would keep its initial size, and nothing would be pruned.
"""

from torch import Tensor

from recsys.embeddings.scheme import StageStep

__all__ = ["decay_rows"]

PARTS = 64
"""Shrinkings in a half-life; each costs a pass over the table."""


def decay_rows(weights: list[Tensor], step: StageStep, *, half_life: float) -> None:
    """Shrink all rows, (R, d) each, if it is their turn at this step.

    The decay is decoupled from the optimizer: k steps multiply a row by exactly 2 ** (-k / steps of a half-life),
    whatever its gradients are. It is applied every few steps, by that number of steps. Where learning rates are reduced
    it slows down with them: rows that are read would not keep up with it otherwise, and all of them would shrink.

    Args:
        weights: The rows, which change in place.
        step: Position of the step that was done.
        half_life: Epochs in which a row that is not read loses half of its size, at the initial learning rates.

    Example:
        >>> import torch
        >>> row = torch.tensor([[8.0, -4.0]])
        >>> for number in range(1, 201):
        ...     decay_rows([row], StageStep(number, 300, steps_per_epoch=100), half_life=1.0)
        >>> [round(weight, 3) for weight in row[0].tolist()]
        [2.0, -1.0]
    """
    steps = half_life * step.steps_per_epoch
    every = max(1, int(steps / PARTS))
    if step.step % every == 0:
        for weight in weights:
            weight.mul_(2 ** (-every * step.rate / steps))
