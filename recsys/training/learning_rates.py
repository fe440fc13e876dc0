"""The course of the learning rates that `train.lr_schedule` describes."""

import math

from recsys.config import LrSchedule

__all__ = ["lr_factor"]


def lr_factor(schedule: LrSchedule, *, step: int, num_steps: int) -> float:
    """Return what learning rates are multiplied by in a step; it is more than 0 in all of them.

    Args:
        schedule: How the factor rises and falls.
        step: Number of the step, from 0.
        num_steps: Number of the steps of all epochs.

    Example:
        >>> schedule = LrSchedule(decay="linear", warmup=0.4)
        >>> [round(lr_factor(schedule, step=step, num_steps=5), 3) for step in range(5)]
        [0.5, 1.0, 1.0, 0.667, 0.333]
    """
    num_rising = math.floor(schedule.warmup * num_steps)
    if step < num_rising:
        return (step + 1) / num_rising
    fallen = (step - num_rising) / (num_steps - num_rising)
    return 1 - fallen if schedule.decay == "linear" else (1 + math.cos(math.pi * fallen)) / 2
