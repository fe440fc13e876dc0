"""One trial: the configuration of a choice, trained as an ordinary run, and what comes of it."""

import gc
import math
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from optuna import Trial
from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import SQLAlchemyError

from recsys.config import Config
from recsys.config.changes import with_changes
from recsys.data.prepare import prepare
from recsys.data.prepared import Prepared
from recsys.errors import ConfigError, RecsysError
from recsys.progress import no_log
from recsys.reasons import user_message
from recsys.run_folder import RunFolder
from recsys.search.budgets import serving_bytes
from recsys.search.candidate import Candidate, Measured
from recsys.search.folder import BASELINE
from recsys.search.optuna.attributes import (
    AUC,
    AUCS,
    BYTES,
    CPU_SECONDS,
    EPOCHS,
    REASON,
    SECONDS,
    STOPPED,
    TRAINING_BYTES,
    trial_name,
)
from recsys.search.optuna.pruning import Curve, is_behind
from recsys.search.optuna.queue import TrialQueue
from recsys.search.optuna.space import Params, SearchSpace
from recsys.search.session import Session
from recsys.training.loop import TrainLoop
from recsys.training.series import train_to_end

__all__ = ["TrialRunner"]


@dataclass(frozen=True, kw_only=True)
class TrialRunner:
    """Trains trials of a search.

    Args:
        session: of the search, whose folder has a run for each trial.
        space: what a choice makes of the configuration.
        budget: most bytes of all tables when served, which the sampler prefers to keep to; None for no limit.
    """

    session: Session
    space: SearchSpace
    budget: int | None

    def candidate(self, name: str, params: Params) -> Candidate:
        """Return the candidate that a choice is."""
        if name == BASELINE:
            return Candidate(name=name)
        changes, prepared = self.space.changes(params), self.space.prepared
        if self.space.changes_features:
            prepared = self._prepare(with_changes(self.space.config, changes))
        return Candidate(name=name, shapes=self.space.shapes(params, prepared), changes=changes)

    def _prepare(self, config: Config) -> Prepared:
        return prepare(config, self.session.data_dir, self.session.cache_dir)

    def run(self, queue: TrialQueue, trial: Trial) -> None:
        """Train a trial, or go on with it, and tell the study what came of it.

        Raises:
            RecsysError: what would befall any other trial as well, or the user's own configuration cannot be trained.
        """
        with queue.working_on(trial), self._unless_taken_up(trial):
            try:
                started = time.process_time()
                metrics = self._train(queue, trial)
                trial.set_user_attr(CPU_SECONDS, time.process_time() - started)
            except Exception as error:
                if trial_name(trial) == BASELINE or not _is_of_trial(error):
                    raise
                traceback.print_exc()
                self._fail(queue, trial, describe_error(error))
                return
            finally:
                gc.collect()  # reference cycles would keep the tables of this trial beside those of the next one
            self._tell(queue, trial, metrics)

    @contextmanager
    def _unless_taken_up(self, trial: Trial) -> Iterator[None]:
        """Leave a trial to the process that has taken it up, whenever this shows."""
        try:
            yield
        except UpdateFinishedTrialError:
            self.session.log(
                f"{trial_name(trial)}: another process has taken it up, since this one was silent for long"
            )

    def _train(self, queue: TrialQueue, trial: Trial) -> dict[str, float]:
        session, name = self.session, trial_name(trial)
        config = with_changes(self.space.config, session.changes(self.candidate(name, dict(trial.params))))
        prepared = self._prepare(config)
        size = sum(serving_bytes(prepared.resolved, prepared.state).values())
        trial.set_user_attr(BYTES, size)
        if self.budget is not None and self.space.changes_bytes:
            trial.set_constraint("logarithm of bytes over budget", math.log(max(size, 1) / self.budget))
        curves = [curve for other in queue.trials() if (curve := _curve(other)) is not None]
        own = Curve(size, _past_aucs(session.folder.run(name)))
        return train_to_end(
            config,
            session.folder.run(name),
            data_dir=session.data_dir,
            cache_dir=session.cache_dir,
            device=session.device,
            evaluated=("valid",),
            callbacks=[_Pruner(trial, own, curves, enabled=self.prunes and name != BASELINE)],
            on_progress=lambda stage, done, total: session.on_progress(f"{name}: {stage}", done, total),
            log=no_log,
        )

    @property
    def prunes(self) -> bool:
        """Whether trials that are behind are stopped."""
        search = self.session.config.search
        return search is None or search.prune

    def _tell(self, queue: TrialQueue, trial: Trial, metrics: dict[str, float]) -> None:
        """Write the figures of a trial to the study."""
        auc = metrics["valid.auc"]
        if math.isnan(auc):
            self._fail(queue, trial, "its validation AUC is not a number")
            return
        figures: dict[str, float | None] = {AUC: auc, SECONDS: metrics["seconds"], EPOCHS: int(metrics["epochs"])}
        figures |= {f"{AUC}_{end}": metrics.get(f"valid.auc_{end}") for end in ("low", "high")}
        figures[TRAINING_BYTES] = int(metrics["embedding_bytes.training"])
        for name, value in figures.items():
            trial.set_user_attr(name, value)
        values = [auc, trial.user_attrs[BYTES]][: len(queue.study.directions)]
        is_stopped = STOPPED in trial.user_attrs
        state = TrialState.PRUNED if is_stopped else TrialState.COMPLETE
        try:
            queue.study.tell(trial, None if is_stopped else values, state=state)
        except ValueError as error:  # so it says that a trial has ended
            raise UpdateFinishedTrialError from error
        stopped = f", stopped after epoch {trial.user_attrs[STOPPED]}" if is_stopped else ""
        self.session.log(
            f"trial {queue.num_finished()} of {queue.total}, {trial_name(trial)}: "
            f"valid AUC {auc:.5f}, {trial.user_attrs[BYTES]:,} bytes, {metrics['seconds']:,.0f} s{stopped}"
        )

    def _fail(self, queue: TrialQueue, trial: Trial, reason: str) -> None:
        trial.set_user_attr(REASON, reason)
        queue.study.tell(trial, state=TrialState.FAIL)
        self.session.log(f"trial {queue.num_finished()} of {queue.total}, {trial_name(trial)}: failed: {reason}")

    def measured(self, trial: FrozenTrial) -> Measured:
        """Return the figures of a finished trial, wherever it was trained."""
        known = trial.user_attrs
        return Measured(
            candidate=self.candidate(trial_name(trial), dict(trial.params)),
            serving_bytes=known[BYTES],
            training_bytes=known[TRAINING_BYTES],
            auc=known[AUC],
            auc_low=known[f"{AUC}_low"],
            auc_high=known[f"{AUC}_high"],
            seconds=known[SECONDS],
            source="trained",
        )


class _Pruner(Callback):
    """Writes the AUC of each epoch to the study, and stops a trial that is behind others.

    Args:
        trial: in the study.
        own: epochs that are trained already.
        others: curves of complete trials.
        enabled: whether to stop it.
    """

    def __init__(self, trial: Trial, own: Curve, others: Sequence[Curve], *, enabled: bool) -> None:
        self.trial = trial
        self.own = own
        self.aucs = dict(own.aucs)
        self.others = others
        self.enabled = enabled

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Compare the epoch that was just validated."""
        assert isinstance(pl_module, TrainLoop)
        epoch = pl_module.progress.epoch + 1  # it is counted after this
        self.aucs[epoch] = float(trainer.callback_metrics["valid.auc"])
        self.trial.set_user_attr(AUCS, {str(number): auc for number, auc in self.aucs.items()})
        curve = Curve(self.own.serving_bytes, self.aucs)
        if self.enabled and pl_module.progress.in_last_stage and is_behind(curve, self.others):
            self.trial.set_user_attr(STOPPED, epoch)
            trainer.should_stop = True


def _past_aucs(run: Path) -> dict[int, float]:
    """Return the AUC of each epoch of a run that was stopped."""
    if not RunFolder(run).is_run:
        return {}
    lines = RunFolder(run).read_epochs(("epoch", "valid.auc"))
    return {int(line["epoch"]): line["valid.auc"] for line in lines}


def _curve(trial: FrozenTrial) -> Curve | None:
    """Return the curve of a trial; None if it is not complete."""
    if trial.state != TrialState.COMPLETE:
        return None
    return Curve(trial.user_attrs[BYTES], {int(epoch): auc for epoch, auc in trial.user_attrs[AUCS].items()})


def _is_of_trial(error: Exception) -> bool:
    """Say whether another choice may be trained although this one cannot."""
    if isinstance(error, ConfigError):
        return True  # such as a training that diverged, or a table that no memory has room for
    others = (RecsysError, SQLAlchemyError, StorageInternalError, UpdateFinishedTrialError)
    return not isinstance(error, others) and user_message(error) is None


def describe_error(error: Exception) -> str:
    """Return in one line why a trial failed."""
    text = " ".join(str(error).split("\n")[0].split())
    return text if isinstance(error, RecsysError) else f"{type(error).__name__}: {text}"
