"""The seam for methods that train in an order of their own: who trains what on which batch, when a stage ends.

README.md shows how a bi-level architecture search fits it.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from recsys.data.prepared import PreparedSplit
from recsys.data.splits import SplitName
from recsys.training.build import LoadedModel
from recsys.training.checkpoints import RunCheckpoints
from recsys.training.progress import TrainProgress
from recsys.training.task import CtrTask

__all__ = ["Schedule", "ScheduleContext", "ScheduleFactory"]


class ScheduleContext(NamedTuple):
    """The objects that a schedule works with; made once in a session, after a checkpoint was restored."""

    loaded: LoadedModel
    """The sharded model, its configuration and its vocabularies."""
    task: CtrTask
    """Training steps, gradients and learning rates."""
    progress: TrainProgress
    """Progress of the run; a schedule sets `num_stages` and may start stages, and else only reads it."""
    checkpoints: RunCheckpoints
    """Checkpoints of the run, for a stage that starts from the best epoch of the one before."""
    steps_per_epoch: int
    """Number of training batches of an epoch."""
    log: Callable[[str], None]
    """Called on rank 0 with lines for the user."""
    splits: Mapping[SplitName, PreparedSplit] = MappingProxyType({})
    """The prepared rows by split, for a schedule that trains on others than those for training; see `read_split`."""


class Schedule:
    """Decides who trains what on which batch, and when a stage of training ends.

    This base class is the ordinary schedule: a single stage in which every batch of the training split trains tables
    and dense part together. Subclasses override what differs. Every rank calls every method, in the same order.

    Args:
        context: What it works with.
    """

    def __init__(self, context: ScheduleContext) -> None:
        self.context = context

    def train_step(self) -> None:
        """Train on the next batch of the training split; `task.batch` is that batch afterwards."""
        self.context.task.train_step()

    def targets(self) -> npt.NDArray[np.float32] | None:
        """Return what the rows of the training split learn in the next epoch, or the rest of one, in place of labels.

        Called before the first batch; (R, T), in the order of the split. None if they learn their labels.
        """
        return None

    def stage_epochs(self) -> int:
        """Return how many epochs the current stage may have, the same number from its first step to its last."""
        return self.context.loaded.resolved.config.train.epochs - self.context.progress.stage_epoch

    def before_validation(self) -> None:
        """Bring the model into the form that is validated."""

    def is_stage_over(self) -> bool:
        """Return whether the current stage ends with the epoch that was just validated."""
        return False

    def is_over(self) -> bool:
        """Return whether training ends with the epoch that was just validated, before its epochs are over."""
        return False

    def start_next_stage(self) -> None:
        """Begin the next stage; called between an epoch's validation and its checkpoint."""
        raise NotImplementedError(f"{type(self).__name__} has no further stage")

    def finish(self) -> None:
        """Tidy up when training is over and its last checkpoint is complete."""

    def close(self) -> None:
        """End what the schedule itself reads; called in a single process, however training ends."""

    def state_dict(self) -> dict[str, Any]:
        """Return what the schedule needs to resume besides the model and `progress`; it is saved in each checkpoint."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over the state of a checkpoint; called before the first batch of a resumed session."""


ScheduleFactory = Callable[[ScheduleContext], Schedule]
"""Makes the schedule of a run: a subclass of `Schedule`, or a function."""
