"""Losses: what is minimized, and the link from a logit to a probability. One file a loss."""

from typing import Any

from recsys.config.losses import LOSSES, LossSection
from recsys.losses.base import Loss, Sigmoid, weighted_mean

__all__ = ["Loss", "Sigmoid", "build_loss", "register_loss", "weighted_mean"]


def build_loss(config: LossSection) -> Loss:
    """Build the loss that the section `train.loss` names.

    Raises:
        ConfigError: a class of the user's own cannot be found, or is not a `Loss`.
    """
    build: Any = LOSSES.implementation(config, Loss, where="train.loss")
    loss: Loss = build(config)
    return loss


def register_loss(loss: type[Loss]) -> type[Loss]:
    """Make a loss usable by the name that its `section` states, and return it; also a class decorator.

    Raises:
        ConfigError: it has no section of its own, or the name is taken.
    """
    LOSSES.add_class(loss)
    return loss
