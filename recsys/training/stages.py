"""The schedule of embedding schemes, which may change tables between steps and be trained in several stages.

A table may first be trained in full, then compressed and fine-tuned. All stages are one run: a stage before the last
takes half of the epochs at most, and the best epoch is always one of the last stage, for only there do the tables have
the form in which they are served.

Schemes that need whole tables are called on the rank that has them; what a new stage changes beside the rows is then
sent to the other ranks.
"""

import math
from typing import ClassVar

import torch
from torch import distributed

from recsys.embeddings.scheme import Scheme, StageStep
from recsys.ranks import all_gather_rows, current_world
from recsys.training.schedule import Schedule, ScheduleContext
from recsys.training.strategy import table_weights

__all__ = ["StagedSchedule"]


class StagedSchedule(Schedule):
    """Calls the hooks of the schemes: after each step, before each validation, and at the start of a stage.

    A stage ends after half of the epochs that are left. It ends sooner where early stopping would end training, if all
    schemes that have stages ask for that (`ends_stage_early`); the next stage then starts from the best epoch.

    Args:
        context: What it works with.
    """

    keeps_best: ClassVar[bool] = False
    """Whether the best epoch of a stage is one of the next stage too, until a later one is better."""

    def __init__(self, context: ScheduleContext) -> None:
        super().__init__(context)
        self.schemes = list(context.loaded.layout.schemes.values())
        self.weights = table_weights(context.loaded.model)
        self.holders = self._find_holders()
        self.staged = [scheme for scheme in self.schemes if scheme.spec.num_stages > 1]
        self.config = context.loaded.resolved.config.train
        context.progress.num_stages = max((scheme.spec.num_stages for scheme in self.staged), default=1)

    def _find_holders(self) -> dict[Scheme, int]:
        """Return the rank that has all tables of each scheme that needs them whole; every rank must call it."""
        needing = [scheme for scheme in self.schemes if scheme.spec.needs_whole_tables]
        if not needing:
            return {}
        has_all = [all(table.name in self.weights for table in scheme.physical_tables()) for scheme in needing]
        has_all_RS = torch.cat(all_gather_rows(torch.tensor([has_all])))
        for scheme, has_all_R in zip(needing, has_all_RS.t(), strict=True):
            assert has_all_R.any(), f"{scheme.name}: scheme {scheme.spec.scheme} needs its tables whole on one rank"
        return dict(zip(needing, has_all_RS.int().argmax(dim=0).tolist(), strict=True))

    def _schemes_here(self) -> list[Scheme]:
        """Return the schemes that this rank calls: all but those whose whole tables another rank has."""
        rank = current_world().rank
        return [scheme for scheme in self.schemes if self.holders.get(scheme, rank) == rank]

    def _names(self) -> str:
        return ", ".join(f"{scheme.name} ({scheme.spec.scheme})" for scheme in self.staged)

    def stage_epochs(self) -> int:
        """Return how many epochs the stage may have: half of those left, leaving one for each stage to come."""
        progress = self.context.progress
        left = self.config.epochs - progress.stage_epoch
        stages_to_come = progress.num_stages - 1 - progress.stage
        return min(math.ceil(left / 2), left - stages_to_come) if stages_to_come else left

    def train_step(self) -> None:
        """Train tables and dense part on the next batch, then let each scheme change its tables."""
        super().train_step()
        epoch = self.context.steps_per_epoch
        rate = self.context.task.optimizer.param_groups[0]["lr"] / self.config.dense_optimizer.lr
        position = StageStep(self.context.progress.stage_step + 1, self.stage_epochs() * epoch, epoch, rate)
        for scheme in self._schemes_here():
            scheme.after_step(position, self.weights)

    def before_validation(self) -> None:
        """Let each scheme bring its tables into the form in which they would be served."""
        for scheme in self._schemes_here():
            scheme.before_validation(self.weights)

    def is_stage_over(self) -> bool:
        """Return whether the stage has had its epochs, or ends early."""
        progress, stopping = self.context.progress, self.config.early_stopping
        if progress.in_last_stage:
            return False
        if progress.epoch - progress.stage_epoch >= self.stage_epochs():
            return True
        return stopping is not None and self._may_end_early() and progress.epochs_since_best >= stopping.patience

    def _may_end_early(self) -> bool:
        return self.config.early_stopping is not None and all(scheme.ends_stage_early for scheme in self.staged)

    def start_next_stage(self) -> None:
        """Load the best epoch if the stage ended early, then start the next stage at the configured learning rates."""
        progress, task = self.context.progress, self.context.task
        first_epoch = progress.epoch
        if progress.epochs_since_best and self._may_end_early():
            first_epoch = progress.best_epoch
            self.context.checkpoints.load_best(task)
        task.scale_learning_rates(1.0)
        for scheme in self._schemes_here():
            scheme.next_stage(self.weights)
        self._broadcast_buffers()
        progress.start_next_stage(keep_best=self.keeps_best)
        stage = f"stage {progress.stage + 1} of {progress.num_stages}: from epoch {first_epoch} on"
        self.context.log(f"{stage}, {self._describe_stage()}")

    def _describe_stage(self) -> str:
        """Return what is special about the stage that begins, for the user."""
        return f"tables have the form in which they are served: {self._names()}"

    def _broadcast_buffers(self) -> None:
        """Copy the buffers of schemes that need whole tables from the rank that has the tables to the others."""
        if current_world().size > 1:
            for scheme, holder in self.holders.items():
                for buffer in scheme.buffers():
                    distributed.broadcast(buffer, src=holder)
