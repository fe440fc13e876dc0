"""The sections of `train.lr_schedule`: the course of the learning rates over a stage of training.

`LR_SCHEDULES` is the one registry of schedules. The training loop knows none of them by name: it asks for the factor of
each step and of each end of an epoch, so that another schedule is a class and a line here.
"""

import math
from abc import abstractmethod
from typing import TYPE_CHECKING, Annotated, Literal

from recsys.config.limits import Epochs, Rate, Share
from recsys.config.section import Section, SectionRegistry

__all__ = ["LR_SCHEDULES", "AnyLrSchedule", "ConstantLr", "CosineLr", "LinearLr", "LrSchedule", "PlateauLr"]


class LrSchedule(Section):
    """Base of the sections of all learning rate schedules; a subclass states its name as `name: Literal["name"]`.

    A schedule sets the rates of each step (`step_factor`), or changes them between epochs (`epoch_factor`). Each stage
    of training begins with the configured rates.
    """

    if TYPE_CHECKING:
        name: str  # each section states its own Literal

    def step_factor(self, _step: int, _num_steps: int) -> float | None:
        """Return what the configured learning rates are multiplied by in a step; None leaves the rates as they are.

        It must follow from its arguments alone, so that a resumed run goes on with the same rates.

        Args:
            _step: Number of the step in its stage, from 0.
            _num_steps: Most steps that the stage may have.
        """
        return None

    def epoch_factor(self, _epochs_since_best: int) -> float:
        """Return what the current learning rates are multiplied by after an epoch.

        Args:
            _epochs_since_best: Number of epochs of the stage since the metric improved.
        """
        return 1.0


class ConstantLr(LrSchedule):
    """Keep the learning rates."""

    name: Literal["constant"] = "constant"


class PlateauLr(LrSchedule):
    """Multiply the learning rates by `factor` after every `patience` epochs without improvement."""

    name: Literal["plateau"] = "plateau"
    factor: Share = 0.1
    """Factor by which the learning rates are multiplied."""
    patience: Epochs = 1
    """Epochs without improvement; fewer than those of early stopping."""

    def epoch_factor(self, epochs_since_best: int) -> float:
        is_due = epochs_since_best > 0 and epochs_since_best % self.patience == 0
        return self.factor if is_due else 1.0


class DecayingLr(LrSchedule):
    """Base of the schedules in which the learning rates rise along a line, then fall to 0 by the end of the stage."""

    warmup: Rate = 0.05
    """Share of the steps of a stage in which the learning rates rise."""

    def step_factor(self, step: int, num_steps: int) -> float:
        num_rising = math.floor(self.warmup * num_steps)
        if step < num_rising:
            return (step + 1) / num_rising
        return self.decay((step - num_rising) / (num_steps - num_rising))

    @abstractmethod
    def decay(self, done: float) -> float:
        """Return the factor after a share of the steps in which it falls, at least 0 and less than 1."""


class CosineLr(DecayingLr):
    """Let the learning rates fall along half a wave of a cosine, after a warmup.

    Example:
        >>> [round(CosineLr(warmup=0.0).step_factor(step, 4), 3) for step in range(4)]
        [1.0, 0.854, 0.5, 0.146]
    """

    name: Literal["cosine"] = "cosine"

    def decay(self, done: float) -> float:
        return (1 + math.cos(math.pi * done)) / 2  # exactly 0 in the last of some 10**8 steps


class LinearLr(DecayingLr):
    """Let the learning rates fall along a line, after a warmup.

    Example:
        >>> [round(LinearLr(warmup=0.4).step_factor(step, 5), 3) for step in range(5)]
        [0.5, 1.0, 1.0, 0.667, 0.333]
    """

    name: Literal["linear"] = "linear"

    def decay(self, done: float) -> float:
        return 1 - done


LR_SCHEDULES: SectionRegistry[LrSchedule] = SectionRegistry(
    "learning rate schedule", key="name", default="cosine", takes_name=True
)
"""Sections of all learning rate schedules by name, in the order in which they are listed to users."""
AnyLrSchedule = Annotated[LrSchedule, LR_SCHEDULES]

for _section in (CosineLr, LinearLr, PlateauLr, ConstantLr):
    LR_SCHEDULES.add(_section)
