"""The link of a run: from the logits of its tower to its probabilities before calibration."""

import math

from torch import Tensor, nn

from recsys.config import Config
from recsys.errors import ConfigError
from recsys.losses import Sigmoid, build_loss

__all__ = ["build_link", "logit_shift"]


def logit_shift(config: Config) -> float:
    """Return what is added to the logits of a model that was trained without most negatives; 0 with all of them.

    Of the negatives a share `rate` is left, so that the odds that the model has learned are 1 / rate times too high.
    """
    rate = config.data.negative_rate
    return 0.0 if rate is None else math.log(rate)


class Shifted(nn.Module):
    """Adds a number to logits, in float64.

    Args:
        shift: the number.
    """

    def __init__(self, shift: float) -> None:
        super().__init__()
        self.shift = shift

    def forward(self, logits: Tensor) -> Tensor:
        return logits.double() + self.shift


def build_link(config: Config) -> nn.Module:
    """Return a scriptable module from logits (B, T) to probabilities (B, T) in float64, before they are calibrated.

    Training, evaluation and export take their probabilities from here, so that they are the same.

    Args:
        config: names the loss, which has the link.

    Raises:
        ConfigError: the logits would have to be corrected for `data.negative_rate`, and are no log-odds.
    """
    link, shift = build_loss(config.train.loss).link(), logit_shift(config)
    if shift and not isinstance(link, Sigmoid):
        raise ConfigError(
            f"{config.where('data', 'negative_rate')}: needs a loss of log-odds, to which it adds the log of the rate; "
            f"{config.train.loss.name} has a link of its own"
        )
    return nn.Sequential(Shifted(shift), link) if shift else link
