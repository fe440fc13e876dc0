"""The sections of `train.calibrated`: what training on calibrated targets takes as the probabilities of rows."""

from typing import Annotated, Literal

from pydantic import Field

from recsys.config.limits import Epochs, Share
from recsys.config.section import Section, SectionRegistry

__all__ = ["TARGETS", "AnyTargets", "BinTargets", "KernelTargets"]


class BinTargets(Section):
    """The mean label of bins of equally many rows with neighbouring predictions (CaPE, Liu et al. 2022)."""

    targets: Literal["bins"] = "bins"
    bins: Annotated[int, Field(ge=1, le=10**6)] = 5
    """Number of bins."""
    every: Epochs = 3
    """One epoch in so many learns these targets, the others learn labels."""


class KernelTargets(Section):
    """The mean label of the rows with neighbouring predictions, the nearer the heavier (CaPE, Liu et al. 2022)."""

    targets: Literal["kernel"]
    width: Share = 0.05
    """Standard deviation of the weights, in predicted probability."""
    window: Annotated[int, Field(ge=1, le=10**5)] = 100
    """Rows on each side, by rising prediction, that count."""
    every: Epochs = 4
    """One epoch in so many learns these targets, the others learn labels."""


TARGETS: SectionRegistry[Section] = SectionRegistry("target", key="targets", default="bins", takes_name=True)
TARGETS.add(BinTargets)
TARGETS.add(KernelTargets)
AnyTargets = Annotated[BinTargets | KernelTargets, TARGETS]
