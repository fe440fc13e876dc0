"""This project: `recsys.train` on a pipeline."""

from pathlib import Path

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback

import recsys
from tests.benchmarks.peers.clock import Clock

_PIPELINES = Path(__file__).parents[3] / "pipelines"
SETTINGS = {
    ("frappe", "MLP"): "frappe_mlp/run.yaml",
    ("frappe", "AutoInt"): "frappe_autoint/run.yaml",
    ("frappe", "AutoInt+"): "frappe_autoint/plus.yaml",
    ("movielens1m", "AutoInt"): "movielens1m_autoint/run.yaml",
    ("movielens1m", "AutoInt+"): "movielens1m_autoint/plus.yaml",
    ("beauty", "DIN"): "beauty_din/run.yaml",
    ("beauty", "DIN, small"): "beauty_din/run.yaml",
}


class _Watch(Callback):
    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.clock.start()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.clock.note(float(trainer.callback_metrics["valid.auc"]))


def config_file(case: tuple[str, str]) -> Path:
    return _PIPELINES / SETTINGS[case]


def train(
    case: tuple[str, str], data_dir: Path, folder: Path, clock: Clock, *, epochs: int, precision: str | None
) -> None:
    """Train a pipeline as it stands, but for a precision that is given."""
    config = recsys.load_config(config_file(case))
    changes = {"precision": precision or config.train.precision, "epochs": min(epochs, config.train.epochs)}
    recsys.train(
        config.replaced(train=config.train.model_copy(update=changes)),
        data_dir=data_dir,
        cache_dir=folder / "cache",
        runs_dir=folder,
        callbacks=[_Watch(clock)],
    )
