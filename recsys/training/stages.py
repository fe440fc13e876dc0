"""Schemes that change tables between steps, and training in several stages: full, then compressed and fine-tuned.

All stages are one run: a stage before the last takes half of the epochs at most, and the best epoch is always one of
the last stage, for only there do the tables have the form in which they are served.
"""

import math
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from recsys.embeddings.scheme import StepPlace
from recsys.errors import ConfigError
from recsys.training import checkpoint
from recsys.training.build import Built
from recsys.training.callbacks import Checkpoints, Progress
from recsys.training.strategy import table_weights
from recsys.training.task import CtrTask

__all__ = ["Stages"]


class Stages(Callback):
    """Calls the schemes' `after_step`, `before_validation` and `next_stage`.

    Args:
        progress: of the run.
        keeper: of the checkpoints, for the best epoch of a stage that is over.
        built: the model.
        steps_per_epoch: batches of one epoch.
        patience: epochs without improvement after which a stage may end.
    """

    def __init__(
        self, progress: Progress, keeper: Checkpoints, built: Built, *, steps_per_epoch: int, patience: int
    ) -> None:
        self.progress = progress
        self.keeper = keeper
        self.schemes = list(built.layout.schemes.values())
        self.weights = table_weights(built.model)
        self.num_stages = max(scheme.num_stages for scheme in self.schemes)
        self.epochs = built.plan.config.train.epochs
        if self.epochs < self.num_stages:
            names = ", ".join(scheme.name for scheme in self.schemes if scheme.num_stages > 1)
            raise ConfigError(
                f"train.epochs: must be at least {self.num_stages}, got {self.epochs}: "
                f"the tables {names} are trained in {self.num_stages} stages"
            )
        self.steps_per_epoch = steps_per_epoch
        self.patience = patience

    def _stage_epochs(self) -> int:
        left = self.epochs - self.progress.stage_epoch
        return left if self.progress.stage == self.num_stages - 1 else math.ceil(left / 2)

    def on_train_batch_end(self, *_: Any) -> None:
        place = StepPlace(self.progress.stage_step, self._stage_epochs() * self.steps_per_epoch)
        for scheme in self.schemes:
            scheme.after_step(place, self.weights)

    def on_validation_start(self, trainer: Trainer, module: LightningModule) -> None:
        for scheme in self.schemes:
            scheme.before_validation(self.weights)

    def on_validation_end(self, trainer: Trainer, module: LightningModule) -> None:
        """Begin the next stage if this one is over; runs after the epoch was judged and before it is saved."""
        progress = self.progress
        if progress.stage == self.num_stages - 1:
            return
        stands_still = progress.waited >= self.patience and any(scheme.ends_stage_early for scheme in self.schemes)
        if not stands_still and progress.epoch - progress.stage_epoch < self._stage_epochs():
            return
        assert isinstance(module, CtrTask)
        if progress.waited and any(scheme.ends_stage_early for scheme in self.schemes):
            rates = module.table_rates()
            checkpoint.load(self.keeper.folder / "best", module.model)
            module.set_table_rates(rates)
        module.multiply_learning_rates(module.config.dense_optimizer.lr / module.optimizer.param_groups[0]["lr"])
        for scheme in self.schemes:
            scheme.next_stage(self.weights)
        progress.stage += 1
        progress.stage_epoch = progress.epoch
        progress.stage_step = 0
        progress.best_epoch, progress.best, progress.waited = 0, None, 0
