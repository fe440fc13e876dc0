"""The attributes of trials, by which processes that work on one study tell each other of them; also for dashboards."""

from optuna import Trial
from optuna.trial import FrozenTrial, TrialState

__all__ = [
    "AUC",
    "AUCS",
    "BEAT",
    "BYTES",
    "CPU_SECONDS",
    "EPOCHS",
    "NAME",
    "REASON",
    "SECONDS",
    "STOPPED",
    "TRAINING_BYTES",
    "WORKER",
    "has_figures",
    "is_finished",
    "trial_name",
]

NAME = "name"
"""Name of the candidate and of its run; a trial that goes on with the run of a lost one has the name of that."""
WORKER = "worker"
"""The process that works on it; a trial that has it has its whole choice."""
BEAT = "beat"
"""A number that grows as long as that process is there."""
REASON = "reason"
"""Reason why it failed. A trial that failed without one was lost, or given back, and another goes on with it."""
BYTES = "serving_bytes"
"""Bytes of all tables when served, known before it is trained."""
TRAINING_BYTES = "training_bytes"
AUCS = "auc_by_epoch"
"""Validation AUC after each epoch, by the number of the epoch."""
AUC = "valid_auc"
"""Validation AUC of the best epoch; `_low` and `_high` are the ends of its interval."""
SECONDS = "seconds"
CPU_SECONDS = "cpu_seconds"
"""Seconds that cores were busy with it."""
EPOCHS = "epochs"
STOPPED = "stopped_after"
"""The epoch after which it was stopped, since it was behind others."""


def trial_name(trial: FrozenTrial | Trial) -> str:
    """Return the name of a trial's candidate and run."""
    return str(trial.user_attrs.get(NAME, f"trial-{trial.number:04d}"))


def is_finished(trial: FrozenTrial) -> bool:
    """Say whether a trial counts as done: it has figures, or failed by itself."""
    failed = trial.state == TrialState.FAIL and REASON in trial.user_attrs
    return failed or has_figures(trial)


def has_figures(trial: FrozenTrial) -> bool:
    """Say whether a trial is complete, or was stopped since it was behind others."""
    return trial.state in (TrialState.COMPLETE, TrialState.PRUNED)
