"""Schemes that change tables between steps, and training in several stages: full, then compressed and fine-tuned.

All stages are one run: a stage before the last takes half of the epochs at most, and the best epoch is always one of
the last stage, for only there do the tables have the form in which they are served.

Schemes that need whole tables are asked on the rank that has them; what a new stage changes beside the rows is then
sent to the others.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import distributed

from recsys.embeddings.scheme import Scheme, StepPlace
from recsys.ranks import all_gather_rows, current_world
from recsys.training.build import LoadedModel
from recsys.training.callbacks import Checkpoints, Progress
from recsys.training.strategy import table_weights
from recsys.training.task import CtrTask

__all__ = ["Stages"]


class Stages(Callback):
    """Lets schemes finish a step, prepare for a validation and begin their next stage.

    A stage ends after half of the epochs that are left. It ends sooner where early stopping would end training, if
    that is the wish of all schemes that have stages; the next one then goes on from the best epoch.

    Args:
        progress: of the run.
        keeper: of the checkpoints, for the best epoch of a stage that is over.
        built: the model.
        steps_per_epoch: batches of one epoch.
        say: told when a stage begins.

    Raises:
        ConfigError: there are fewer epochs than stages.
    """

    def __init__(
        self,
        progress: Progress,
        keeper: Checkpoints,
        built: LoadedModel,
        *,
        steps_per_epoch: int,
        say: Callable[[str], None],
    ) -> None:
        self.progress = progress
        self.keeper = keeper
        self.schemes = list(built.layout.schemes.values())
        self.weights = table_weights(built.model)
        self.holders = self._find_holders()
        self.staged = [scheme for scheme in self.schemes if scheme.spec.num_stages > 1]
        self.config = built.resolved.config.train
        self.steps_per_epoch = steps_per_epoch
        self.say = say
        progress.num_stages = max((scheme.spec.num_stages for scheme in self.staged), default=1)

    def _find_holders(self) -> dict[Scheme, int]:
        """Return the rank that has all tables of each scheme that needs them whole; every rank must ask."""
        needing = [scheme for scheme in self.schemes if scheme.spec.needs_whole_tables]
        if not needing:
            return {}
        has_all = [all(table.name in self.weights for table in scheme.physical()) for scheme in needing]
        has_all_RS = torch.cat(all_gather_rows(torch.tensor([has_all])))
        for scheme, has_all_R in zip(needing, has_all_RS.t(), strict=True):
            assert has_all_R.any(), f"{scheme.name}: scheme {scheme.spec.scheme} needs its tables whole on one rank"
        return dict(zip(needing, has_all_RS.int().argmax(dim=0).tolist(), strict=True))

    def _here(self) -> list[Scheme]:
        """Return the schemes that this rank asks: all but those whose tables another has."""
        rank = current_world().rank
        return [scheme for scheme in self.schemes if self.holders.get(scheme, rank) == rank]

    def _names(self) -> str:
        return ", ".join(f"{scheme.name} ({scheme.spec.scheme})" for scheme in self.staged)

    def _stage_epochs(self) -> int:
        """Return how many epochs the stage may have: half of those left, and one for each stage to come."""
        left = self.config.epochs - self.progress.stage_epoch
        stages_to_come = self.progress.num_stages - 1 - self.progress.stage
        return min(math.ceil(left / 2), left - stages_to_come) if stages_to_come else left

    def on_train_batch_end(self, trainer: Trainer, module: LightningModule, outputs: Any, batch: Any, *_: Any) -> None:
        assert isinstance(module, CtrTask)
        module.finish_step(module.batch)
        place = StepPlace(self.progress.stage_step, self._stage_epochs() * self.steps_per_epoch)
        for scheme in self._here():
            scheme.after_step(place, self.weights)

    def on_validation_start(self, trainer: Trainer, module: LightningModule) -> None:
        for scheme in self._here():
            scheme.before_validation(self.weights)

    def on_validation_end(self, trainer: Trainer, module: LightningModule) -> None:
        """Begin the next stage if this one is over; runs after the epoch was judged and before it is saved."""
        assert isinstance(module, CtrTask)
        if not self.progress.in_last_stage and self._is_over():
            self._begin_next(module)

    def _send_buffers(self) -> None:
        """Let what a scheme has besides tables be everywhere as it is on the rank that has its tables."""
        if current_world().size > 1:
            for scheme, holder in self.holders.items():
                for buffer in scheme.buffers():
                    distributed.broadcast(buffer, src=holder)

    def _may_end_early(self) -> bool:
        return self.config.early_stopping is not None and all(scheme.ends_stage_early for scheme in self.staged)

    def _is_over(self) -> bool:
        if self.progress.epoch - self.progress.stage_epoch >= self._stage_epochs():
            return True
        stopping = self.config.early_stopping
        return stopping is not None and self._may_end_early() and self.progress.waited >= stopping.patience

    def _begin_next(self, module: CtrTask) -> None:
        """Go to the best epoch if that is wished, then let every scheme begin its next stage at the initial rates."""
        progress = self.progress
        origin = progress.epoch
        if progress.waited and self._may_end_early():
            origin = progress.best_epoch
            self.keeper.go_back_to_best(module)
        module.multiply_learning_rates(self.config.dense_optimizer.lr / module.optimizer.param_groups[0]["lr"])
        for scheme in self._here():
            scheme.next_stage(self.weights)
        self._send_buffers()
        progress.stage += 1
        progress.stage_epoch, progress.stage_step = progress.epoch, 0
        progress.best_epoch, progress.best, progress.waited = 0, None, 0
        self.say(
            f"stage {progress.stage + 1} of {progress.num_stages}: from epoch {origin} on, tables have the form in "
            f"which they are served: {self._names()}"
        )
