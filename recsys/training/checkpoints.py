"""The two checkpoints of a run: `last`, to resume from, and `best`, to evaluate and export."""

import time
from pathlib import Path
from typing import Any

import torch

from recsys.checkpoint.folder import link_checkpoint
from recsys.checkpoint.load import LoadedState, load_checkpoint
from recsys.checkpoint.saver import AsyncCheckpointer
from recsys.checkpoint.snapshot import table_step
from recsys.ranks import World, current_world
from recsys.ranks.seeds import derive_seed
from recsys.training.progress import TrainProgress
from recsys.training.task import CtrTask

__all__ = ["RunCheckpoints"]


class RunCheckpoints:
    """Saves and restores everything that the rest of a run depends on.

    Saving goes on in the background of training. All ranks save after the same batch, since they were told so with it.

    Args:
        folder: Folder of the checkpoints.
        progress: Progress of the run; that of rank 0 is saved.
        minutes: Time between two checkpoints within an epoch.
        seed: Seed of the run.
        saver: The writer of checkpoints.
    """

    def __init__(
        self,
        folder: Path,
        progress: TrainProgress,
        *,
        minutes: float,
        seed: int = 0,
        saver: AsyncCheckpointer | None = None,
    ) -> None:
        self.last = folder / "last"
        self.best = folder / "best"
        self.progress = progress
        self.seconds = minutes * 60
        self.seed = seed
        self.saver = saver or AsyncCheckpointer()
        self._clock_start = time.monotonic()

    def poll_due(self) -> bool:
        """Return whether it is time for a checkpoint, and restart the clock if it is. Only one rank asks."""
        is_due = time.monotonic() - self._clock_start >= self.seconds
        if is_due:
            self.restart_clock()
        return is_due

    def restart_clock(self) -> None:
        """Count the time to the next checkpoint from now on."""
        self._clock_start = time.monotonic()

    def save(self, task: CtrTask, schedule_state: dict[str, Any] | None = None) -> None:
        """Save `last`, and at the end of the best epoch `best`; both are complete after `wait`.

        Args:
            task: The model with its optimizers.
            schedule_state: What the schedule needs to resume, alike on all ranks.

        Raises:
            OSError: The save before could not be written.
        """
        own = {
            "losses": task.loss_state(),
            "table_rates": task.table_learning_rates(),
            "table_step": table_step(task.model),
            "random": torch.get_rng_state(),
            "random_cuda": torch.cuda.get_rng_state() if task.model.device.type == "cuda" else None,
        }
        extra = {"progress": self.progress.state_dict()} | ({"schedule": schedule_state} if schedule_state else {})
        best = self.best if self._is_best() else None
        self.saver.save(self.last, task.model, task.optimizer, extra, own, best=best)

    def _is_best(self) -> bool:
        """Return whether the state is that of the end of the best epoch."""
        return self.progress.batch == 0 and self.progress.best_epoch == self.progress.epoch

    def restore(self, task: CtrTask) -> dict[str, Any]:
        """Load `last`: model, optimizers, random states, and the progress of the run.

        At another world size than that of the checkpoint, every rank seeds itself from the run's seed and the step.

        Returns:
            The state of the schedule; {} if it had none.

        Raises:
            DataError: The checkpoint is missing, damaged, or that of another model.
        """
        self.wait()
        loaded = load_checkpoint(self.last, task.model, task.optimizer)
        self.progress.load_state_dict(loaded.extra["progress"])
        _set_table_learning_rates(task, loaded)
        task.model.fused_optimizer.set_optimizer_step(max(own["table_step"] for own in loaded.ranks))
        world = current_world()
        sums = {name: sum(own["losses"][name] for own in loaded.ranks) for name in ("sum", "rows")}
        task.load_loss_state(sums if world.is_rank_zero else dict.fromkeys(sums, 0.0))
        self._restore_random_state(loaded, world)
        if world.is_rank_zero and self._is_best():  # a kill may have come between `last` and `best`
            link_checkpoint(self.last, self.best)
        state: dict[str, Any] = loaded.extra.get("schedule", {})
        return state

    def load_best(self, task: CtrTask) -> None:
        """Load the model, the optimizers and the learning rates of `best`; progress stays as it is."""
        self.wait()
        _set_table_learning_rates(task, load_checkpoint(self.best, task.model, task.optimizer))

    def _restore_random_state(self, loaded: LoadedState, world: World) -> None:
        if len(loaded.ranks) != world.size:
            torch.manual_seed(derive_seed(self.seed, "resumed", self.progress.step, world.rank))
            return
        own = loaded.ranks[world.rank]
        torch.set_rng_state(own["random"])
        if own["random_cuda"] is not None and torch.cuda.is_available():
            torch.cuda.set_rng_state(own["random_cuda"])

    def wait(self) -> None:
        """Wait until `last` and `best` are complete on all ranks; call it before anybody reads them.

        Raises:
            OSError: They could not be written.
        """
        self.saver.wait()

    def settle(self) -> None:
        """Wait a few seconds for a save that has begun; for use when training has failed."""
        self.saver.settle()


def _set_table_learning_rates(task: CtrTask, loaded: LoadedState) -> None:
    """Set the learning rate of the tables, which is the same for all; a rank that had no table saved none."""
    rates = [rate for own in loaded.ranks for rate in own["table_rates"]]
    task.set_table_learning_rates(rates[:1] * len(task.table_learning_rates()))
