"""The link of a run: from the logits of its tower to the probabilities that it predicts."""

from torch import nn

from recsys.calibration.calibrator import Calibrator
from recsys.config import Config
from recsys.losses import build_loss

__all__ = ["build_link"]


def build_link(config: Config, calibrator: Calibrator | None = None) -> nn.Module:
    """Return a scriptable module from logits (B, T) to probabilities (B, T) in float64.

    Training, evaluation and export take their probabilities from here, so that they are the same.

    Args:
        config: names the loss, which has the link.
        calibrator: what was fitted on the validation rows; None before, and where nothing is.
    """
    link = build_loss(config.train.loss).link()
    return link if calibrator is None else nn.Sequential(link, calibrator)
