"""One batch: forward, loss, and the dense optimiser. Lightning calls this; TorchRec updates the tables.

Dimension key: B rows, T tasks.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torchrec.distributed.model_parallel import DistributedModelParallel
from torchrec.optim.optimizers import in_backward_optimizer_filter

from recsys.config import DenseOptimizer, TrainSection
from recsys.embeddings import Batch, Scheme
from recsys.errors import ConfigError
from recsys.losses import build_loss, weighted_mean
from recsys.ranks import SINGLE_PROCESS, StepSignals, World, broadcast, sum_over_ranks
from recsys.training.pipeline import TrainPipeline
from recsys.training.scoring import ScoreCollector

__all__ = ["CtrTask"]

_DENSE: dict[str, type[torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "adagrad": torch.optim.Adagrad,
    "sgd": torch.optim.SGD,
}
CHECK_EVERY = {"cpu": 1, "cuda": 100}
"""Steps between two looks at the loss, each of which a GPU has to wait for."""
_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


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

    Steps are TorchRec's pipeline's; Lightning counts them. Every rank propagates back `size` times its part of the loss
    of the batch, since TorchRec and DistributedDataParallel divide the gradients of all ranks by their number: what
    arrives is the gradient of the whole batch, at any world size.

    Args:
        model: the sharded CtrModel.
        config: the training section.
        tasks: names of the tasks, in the order of the labels.
        world: of this process.
        poll_signals: called after each batch in a single process; returns what to do after it.

    Attributes:
        batch: the batch that was trained last, this rank's part.
        signals: what all ranks do after it.
        batch_loss: this rank's part of its loss, (); the sum over ranks is the loss.
    """

    batch: Batch
    batch_loss: Tensor

    def __init__(
        self,
        model: DistributedModelParallel,
        config: TrainSection,
        tasks: list[str],
        *,
        world: World = SINGLE_PROCESS,
        poll_signals: Callable[[], StepSignals] = StepSignals,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.model = model
        self.config = config
        self.loss = build_loss(config.loss)
        self.tasks = tasks
        self.world = world
        self.poll_signals = poll_signals
        self.signals = StepSignals()
        self.optimizer = dense_optimizer(model, config.dense_optimizer)
        self.valid_metrics: dict[str, float] = {}
        """Of the last validation pass."""
        self._loss_sum = torch.zeros((), dtype=torch.float64)
        self._rows_seen = 0
        self._until_check = 0
        self._collector = ScoreCollector(self.loss.link())
        self._schemes = list(model.module.layout.schemes.values())
        if config.gradient_clip is not None:
            self.optimizer.register_step_pre_hook(self._clip_gradients)
        placed = next(model.parameters()).device
        reads_twice = any(type(scheme).second_pass is not Scheme.second_pass for scheme in self._schemes)
        has_tables = any(True for _ in model.module.lookup.children())  # else there are no ids to send
        overlap = placed.type == "cuda" and world.size > 1 and has_tables and not reads_twice
        self.steps = TrainPipeline(model, self.optimizer, self._loss, device=placed, overlap=overlap)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return self.optimizer

    def training_step(self, _number: int, _batch_index: int) -> None:
        self.batch = self.steps.step()
        self.signals = self.batch.signals if self.world.size > 1 else self.poll_signals()
        self._loss_sum = self._loss_sum.to(self.batch_loss.device) + self.batch_loss.double() * self.batch.batch_rows
        self._rows_seen += self.batch.num_rows
        if self._until_check == 0:
            if not torch.isfinite(self.batch_loss):
                raise self._diverged(f"the training loss is {self.batch_loss.item()}")
            self._until_check = CHECK_EVERY[self.batch_loss.device.type]
        self._until_check -= 1

    def step_on(self, batch: Batch) -> None:
        """Take one whole step on a batch, outside Lightning's loop."""
        self.steps.begin(iter([batch]))
        self.training_step(0, 0)
        self.finish_step(batch)

    def _loss(self, batch: Batch) -> Tensor:
        """Return what is propagated back on this rank."""
        output = self.model(batch)
        loss = weighted_mean(self.loss(output.logits, batch.labels), batch.weights, batch.total_weight)
        self.batch_loss = loss.detach()
        penalty = self.config.regularization.rows * output.penalty
        total: Tensor = self.world.size * (loss + penalty) + output.scheme_loss
        return total

    def _clip_gradients(self, *_: Any) -> None:
        assert self.config.gradient_clip is not None
        parameters = [parameter for group in self.optimizer.param_groups for parameter in group["params"]]
        nn.utils.clip_grad_norm_(parameters, self.config.gradient_clip)

    def finish_step(self, batch: Batch) -> None:
        """Run the second pass of schemes that ask for one; only what they ask for gets a gradient."""
        leaves = {scheme: found for scheme in self._schemes if (found := scheme.second_pass())}
        if not leaves:
            return
        with statistics_kept(self.model.module):
            logits = self.model.module(batch).logits
            loss = weighted_mean(self.loss(logits, batch.labels), batch.weights, batch.total_weight)
            found = torch.autograd.grad(loss, [leaf for leaves_ in leaves.values() for leaf in leaves_])
        gradients = iter([sum_over_ranks(gradient) for gradient in found])
        for scheme, asked in leaves.items():
            scheme.finish_step([next(gradients) for _ in asked], batch.batch_rows)

    def on_validation_start(self) -> None:
        self.steps.end()

    def on_validation_epoch_start(self) -> None:
        self._collector = ScoreCollector(self.loss.link())

    def validation_step(self, batch: Batch, _batch_index: int) -> None:
        self._collector.add(batch, self.model(batch).logits)

    def on_validation_epoch_end(self) -> None:
        scores = self._collector.finish()
        if scores is not None and np.isnan(scores.probabilities).any():
            raise self._diverged("predictions for the validation rows are nan")
        self.valid_metrics = broadcast({} if scores is None else scores.metrics(self.tasks))
        self.log_dict({f"valid.{name}": value for name, value in self.valid_metrics.items()})

    def multiply_learning_rates(self, factor: float) -> None:
        """Scale the learning rate of the dense part and of the tables."""
        tables = self.model.fused_optimizer
        for group in [*self.optimizer.param_groups, *tables.param_groups]:
            group["lr"] *= factor
        tables.step()  # only hands the rate to the kernel: rows are updated in the backward pass
        for scheme in self._schemes:
            for rate in scheme.lr_buffers():
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
        """Return the mean training loss of the rows of this epoch, without penalties; every rank must ask."""
        total, rows = sum_over_ranks(torch.tensor([float(self._loss_sum), self._rows_seen], dtype=torch.float64))
        return float(total) / max(int(rows), 1)

    def losses(self) -> dict[str, float]:
        """Return what `mean_loss` is made of on this rank, for a checkpoint."""
        return {"sum": float(self._loss_sum), "rows": self._rows_seen}

    def set_losses(self, losses: dict[str, float]) -> None:
        """Take up the losses of a checkpoint."""
        self._loss_sum.fill_(losses["sum"])
        self._rows_seen = int(losses["rows"])

    def forget_losses(self) -> None:
        """Start the losses of a new epoch."""
        self.set_losses({"sum": 0.0, "rows": 0})
