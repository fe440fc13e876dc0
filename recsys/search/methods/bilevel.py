"""The schedule of bi-level methods: weights learn on training batches, gates on validation batches.

    min over gates of  L_valid(w*(gates), gates)      where  w* = argmin over w of L_train(w, gates)

To first order: a step of the weights, then a step of the gates at the new weights, with the weights held fixed.
"""

import math
from collections.abc import Iterator
from itertools import count
from typing import Any, ClassVar

from recsys.data.reader import Position
from recsys.embeddings import Batch
from recsys.embeddings.gates.gated import Gated
from recsys.errors import ConfigError
from recsys.training.build import read_split
from recsys.training.schedule import ScheduleContext
from recsys.training.stages import StagedSchedule
from recsys.training.task import frozen_batch_norm

__all__ = ["AlternatingSchedule", "WarmStartSchedule"]


class AlternatingSchedule(StagedSchedule):
    """A step of tables and dense part on a training batch, then a step of the gates on a validation batch.

    The validation split is read in a random order of its own, epoch after epoch, whatever the length of the other: the
    official codes stop an epoch at the end of the shorter split.
    """

    def __init__(self, context: ScheduleContext) -> None:
        if context.loaded.world.size > 1:
            raise ConfigError(
                "a search on validation batches runs in one process, since a second reader would need a process group "
                "of its own: start it without --devices"
            )
        super().__init__(context)
        self.gates = [scheme.gate for scheme in self.schemes if isinstance(scheme, Gated)]
        split = context.splits["valid"]
        self.reader = read_split(context.loaded, split, batch_size=self.config.batch_size, seed=self.config.seed)
        self._batches: Iterator[Batch] | None = None

    def train_step(self) -> None:
        super().train_step()
        self.learn_gates()

    def learn_gates(self) -> None:
        """Move the gates by the gradients of the loss on the next validation batch; nothing else moves."""
        if self._batches is None:
            self._batches = self._endless(first=self.context.progress.stage_step)
        leaves = [gate.leaves() for gate in self.gates]
        flat = [leaf.requires_grad_() for of_gate in leaves for leaf in of_gate]
        batch = next(self._batches).to(flat[0].device)
        gradients = iter(self.context.task.gradients(batch, flat, is_training=False))
        for leaf in flat:
            leaf.requires_grad_(False)
        for gate, of_gate in zip(self.gates, leaves, strict=True):
            gate.learn([next(gradients) for _ in of_gate])

    def close(self) -> None:
        self.reader.close()

    def _endless(self, first: int) -> Iterator[Batch]:
        """Yield a validation batch for each step of the stage; a resumed run goes on where it was without a state."""
        epoch, batch = divmod(first, self.reader.num_batches)
        for number in count(epoch):
            self.reader.position = Position(number, batch if number == epoch else 0)
            yield from self.reader


class WarmStartSchedule(AlternatingSchedule):
    """Trains as usual with open gates until early stopping; then tables and gates take turns, the dense part frozen.

    The search starts from the best epoch of the warm start, and takes a share of the epochs that it took to get there.
    """

    SEARCH_SHARE: ClassVar[float] = 0.5
    """Epochs of the search over epochs up to the best one of the warm start; an epoch of it costs about two."""

    def __init__(self, context: ScheduleContext) -> None:
        super().__init__(context)
        context.progress.num_stages = 2
        context.task.is_dense_frozen = context.progress.stage > 0
        self.search_epochs = 1

    def stage_epochs(self) -> int:
        warm = self.config.epochs // 2  # the configuration of the supernet has twice as many as the user's
        return warm if self.context.progress.stage == 0 else self.search_epochs

    def train_step(self) -> None:
        if self.context.progress.stage == 0:
            StagedSchedule.train_step(self)
            return
        # Closing gates shift what reaches batch normalization; batch averages would hide it from gates and tables.
        with frozen_batch_norm(self.context.task.model.module):
            StagedSchedule.train_step(self)
            self.learn_gates()

    def start_next_stage(self) -> None:
        self.search_epochs = max(1, math.ceil(self.SEARCH_SHARE * self.context.progress.best_epoch))
        self.context.task.is_dense_frozen = True
        super().start_next_stage()

    def _describe_stage(self) -> str:
        return f"gates learn on validation rows for {self.search_epochs} epochs, the dense part is frozen"

    def is_over(self) -> bool:
        progress = self.context.progress
        return progress.in_last_stage and progress.epoch - progress.stage_epoch >= self.search_epochs

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {"search_epochs": self.search_epochs}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self.search_epochs = state.get("search_epochs", self.search_epochs)
