"""One batch: forward, loss, and the dense optimiser. Lightning calls this; TorchRec updates the tables.

Dimension key: B rows, T tasks.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits
from torchrec.distributed.model_parallel import DistributedModelParallel
from torchrec.optim.optimizers import in_backward_optimizer_filter

from recsys.config import DenseOptimizer, TrainSection
from recsys.embeddings import Batch
from recsys.errors import ConfigError
from recsys.training.scoring import ScoreCollector

__all__ = ["CtrTask", "weighted_logloss"]

_DENSE: dict[str, type[torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "adagrad": torch.optim.Adagrad,
    "sgd": torch.optim.SGD,
}
_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


def weighted_logloss(logits_BT: Tensor, labels_BT: Tensor, weights_B: Tensor | None) -> Tensor:
    """Return the mean log loss over tasks and rows; with weights, the weighted mean over rows."""
    loss_B = binary_cross_entropy_with_logits(logits_BT.float(), labels_BT, reduction="none").mean(dim=1)
    if weights_B is None:
        return loss_B.mean()
    return (loss_B * weights_B).sum() / weights_B.sum().clamp(min=torch.finfo(torch.float32).tiny)


def dense_optimizer(model: nn.Module, config: DenseOptimizer) -> torch.optim.Optimizer:
    """Return the optimiser of all parameters that no kernel updates itself."""
    parameters = [parameter for _, parameter in in_backward_optimizer_filter(model.named_parameters())]
    if not parameters:
        parameters = [nn.Parameter(torch.zeros(()))]
    arguments: dict[str, Any] = {"lr": config.lr, "weight_decay": config.weight_decay}
    return _DENSE[config.name](parameters, **arguments)


@contextmanager
def statistics_kept(model: nn.Module) -> Iterator[None]:
    """Put the moving averages of batch normalisation back afterwards: they count each batch once."""
    kept = [(found, found.clone()) for name, found in model.named_buffers() if name.rpartition(".")[2] in _STATISTICS]
    yield
    for statistic, before in kept:
        statistic.copy_(before)


class CtrTask(LightningModule):
    """Training and validation of a sharded model.

    Args:
        model: the sharded CtrModel.
        config: the training section.
        tasks: names of the tasks, in the order of the labels.
    """

    def __init__(self, model: DistributedModelParallel, config: TrainSection, tasks: list[str]) -> None:
        super().__init__()
        self.model = model
        self.config = config
        self.tasks = tasks
        self.optimizer = dense_optimizer(model, config.dense_optimizer)
        self.valid_metrics: dict[str, float] = {}
        """Of the last validation pass."""
        self._loss_sum = torch.zeros((), dtype=torch.float64)
        self._rows_seen = 0
        self._collector = ScoreCollector()
        self._schemes = list(model.module.layout.schemes.values())

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return self.optimizer

    def training_step(self, batch: Batch, _batch_index: int) -> Tensor:
        output = self.model(batch)
        loss = weighted_logloss(output.logits, batch.labels, batch.weights)
        value = loss.detach().cpu().double()
        if not torch.isfinite(value):
            raise self._diverged(f"the training loss is {value.item()}")
        self._loss_sum += value * batch.num_rows
        self._rows_seen += batch.num_rows
        self.log("train.loss", loss.detach(), prog_bar=True, batch_size=batch.num_rows)
        total: Tensor = loss + self.config.regularization.rows * output.penalty + output.scheme_loss
        return total

    def finish_step(self, batch: Batch) -> None:
        """Run the second pass of schemes that ask for one; only what they ask for gets a gradient."""
        leaves = {scheme: found for scheme in self._schemes if (found := scheme.second_pass())}
        if not leaves:
            return
        is_mixed = self.config.precision == "bf16-mixed"
        with statistics_kept(self.model.module):
            with torch.autocast(batch.labels.device.type, torch.bfloat16, enabled=is_mixed):  # as in the first pass
                logits = self.model.module(batch).logits
            loss = weighted_logloss(logits, batch.labels, batch.weights)
            gradients = iter(torch.autograd.grad(loss, [leaf for found in leaves.values() for leaf in found]))
        for scheme, found in leaves.items():
            scheme.finish_step([next(gradients) for _ in found], batch.num_rows)

    def on_validation_epoch_start(self) -> None:
        self._collector = ScoreCollector()

    def validation_step(self, batch: Batch, _batch_index: int) -> None:
        with torch.autocast(batch.labels.device.type, enabled=False):  # as in the final scoring
            self._collector.add(batch, self.model(batch).logits)

    def on_validation_epoch_end(self) -> None:
        scores = self._collector.finish()
        if np.isnan(scores.probabilities).any():
            raise self._diverged("predictions for the validation rows are nan")
        self.valid_metrics = scores.metrics(self.tasks)
        self.log_dict({f"valid.{name}": value for name, value in self.valid_metrics.items()})

    def multiply_learning_rates(self, factor: float) -> None:
        """Scale the learning rate of the dense part and of the tables."""
        tables = self.model.fused_optimizer
        for group in [*self.optimizer.param_groups, *tables.param_groups]:
            group["lr"] *= factor
        tables.step()  # only hands the rate to the kernel: rows are updated in the backward pass
        for scheme in self._schemes:
            for rate in scheme.own_rates():
                rate.mul_(factor)

    def table_rates(self) -> list[float]:
        """Return the tables' learning rates, which TorchRec leaves out of its optimiser's state."""
        return [group["lr"] for group in self.model.fused_optimizer.param_groups]

    def set_table_rates(self, rates: list[float]) -> None:
        """Take up the tables' learning rates of a checkpoint."""
        tables = self.model.fused_optimizer
        for group, rate in zip(tables.param_groups, rates, strict=True):
            group["lr"] = rate
        tables.step()

    def _diverged(self, what: str) -> ConfigError:
        rates = f"dense {self.config.dense_optimizer.lr:g}, sparse {self.config.sparse_optimizer.lr:g}"
        return ConfigError(
            f"train: training diverged in epoch {self.current_epoch + 1}: {what}; "
            f"lower the learning rate (now {rates}), or normalize the numbers"
        )

    def mean_loss(self) -> float:
        """Return the mean training loss of the rows of this epoch, without penalties."""
        return float(self._loss_sum) / max(self._rows_seen, 1)

    def losses(self) -> dict[str, float]:
        """Return what `mean_loss` is made of, for a checkpoint."""
        return {"sum": float(self._loss_sum), "rows": self._rows_seen}

    def set_losses(self, losses: dict[str, float]) -> None:
        """Take up the losses of a checkpoint."""
        self._loss_sum.fill_(losses["sum"])
        self._rows_seen = int(losses["rows"])

    def forget_losses(self) -> None:
        """Start the losses of a new epoch."""
        self.set_losses({"sum": 0.0, "rows": 0})
