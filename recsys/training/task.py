"""A model that learns: training steps, gradients on other batches, validation scores and learning rates."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torchrec.distributed.model_parallel import DistributedModelParallel
from torchrec.optim.optimizers import in_backward_optimizer_filter

from recsys.config import DenseOptimizer, TrainSection
from recsys.embeddings import Batch, Scheme
from recsys.errors import ConfigError
from recsys.evaluation.metrics import epoch_metrics
from recsys.losses import build_loss, weighted_mean
from recsys.ranks import SINGLE_PROCESS, StepSignals, World, broadcast, sum_over_ranks
from recsys.training.pipeline import TrainPipeline
from recsys.training.scoring import ScoreCollector
from recsys.training.served_rows import round_served_rows

__all__ = ["CtrTask", "Negatives", "frozen_batch_norm"]

_DENSE: dict[str, type[torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "adagrad": torch.optim.Adagrad,
    "sgd": torch.optim.SGD,
}
CHECK_EVERY = {"cpu": 1, "cuda": 100}
"""Steps between two checks that the loss is finite, by type of device; a GPU has to wait for each."""
_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


def dense_optimizer(model: nn.Module, config: DenseOptimizer) -> torch.optim.Optimizer:
    """Return the optimizer of all parameters that no fused kernel updates.

    On a CPU its steps are fused, too: one pass over parameters, gradients and state. A run that began without goes on
    without, for its checkpoint says so; a run that began on a CPU goes on without on CUDA.
    """
    parameters = [parameter for _, parameter in in_backward_optimizer_filter(model.named_parameters())]
    if not parameters:
        parameters = [nn.Parameter(torch.zeros(()))]
    arguments: dict[str, Any] = {"lr": config.lr, "weight_decay": config.weight_decay}
    if all(parameter.device.type == "cpu" for parameter in parameters):
        arguments["fused"] = True
        return _DENSE[config.name](parameters, **arguments)
    optimizer = _DENSE[config.name](parameters, **arguments)
    optimizer.register_load_state_dict_post_hook(_unfuse)
    return optimizer


def _unfuse(optimizer: torch.optim.Optimizer) -> None:
    for group in optimizer.param_groups:
        group["fused"] = None


@contextmanager
def keeping_batch_norm_statistics(model: nn.Module) -> Iterator[None]:
    """Restore the moving averages of batch normalization afterwards, so that they count each batch once."""
    kept = [(found, found.clone()) for name, found in model.named_buffers() if name.rpartition(".")[2] in _STATISTICS]
    yield
    for statistic, before in kept:
        statistic.copy_(before)


@contextmanager
def frozen_batch_norm(model: nn.Module) -> Iterator[None]:
    """Let batch normalization use its moving averages and leave them as they are, as in evaluation."""
    layers = [layer for layer in model.modules() if hasattr(layer, "running_mean") and layer.training]
    for layer in layers:
        layer.eval()
    try:
        yield
    finally:
        for layer in layers:
            layer.train()


class Negatives(NamedTuple):
    """Facts on the negatives of a training split that has lost most of them."""

    rate: float
    """Share that is left."""
    link: nn.Module
    """Link from logits to corrected probabilities."""
    mean_weight: float
    """Mean weight of the rows that are left if a negative counts for those that are not, too."""

    @property
    def logit_shift(self) -> float:
        """Number that corrects the logits."""
        return math.log(self.rate)


class CtrTask:
    """A sharded model with its optimizers and its training pipeline.

    Every rank propagates back `world.size` times its part of the loss of the batch, since TorchRec and
    DistributedDataParallel divide the gradients of all ranks by their number. What arrives is the gradient of the whole
    batch, at any world size.

    Args:
        model: The sharded CtrModel.
        config: The training section.
        tasks: Names of the tasks, in the order of the labels.
        mean_weight: Mean weight of the rows of the training split.
        world: This process and how many there are.
        poll_signals: Called after each batch for what to do next, if there are no other ranks.
        negatives: What is known of the negatives, if training goes without most of them.

    Attributes:
        batch: This rank's part of the batch that was trained last.
        batch_loss: This rank's part of the loss of its labels, (); the sum over ranks is the loss. Without most
            negatives it is that of all rows, as far as those of the batch tell.
        signals: What all ranks do after it.
        optimizer: The optimizer of the dense part.
        is_dense_frozen: Whether the learning rate of the dense part is 0, whatever those of the tables are set to.
    """

    batch: Batch
    batch_loss: Tensor
    is_dense_frozen = False

    def __init__(
        self,
        model: DistributedModelParallel,
        config: TrainSection,
        tasks: list[str],
        *,
        mean_weight: float = 1.0,
        world: World = SINGLE_PROCESS,
        poll_signals: Callable[[], StepSignals] = StepSignals,
        negatives: Negatives | None = None,
    ) -> None:
        self.model = model
        self.config = config
        self.tasks = tasks
        self.mean_weight = mean_weight
        self.loss = build_loss(config.loss)
        self.negatives = negatives
        self.link = self.loss.link() if negatives is None else negatives.link
        self.world = world
        self.poll_signals = poll_signals
        self.signals = StepSignals()
        self.optimizer = dense_optimizer(model, config.dense_optimizer)
        self.epoch = 1
        self._loss_sum = torch.zeros((), dtype=torch.float64)
        self._rows_seen = 0
        self._steps_to_check = 0
        self._collector = ScoreCollector(self.link)
        self._schemes = list(model.module.layout.schemes.values())
        self._scheme_rates = [(rate, rate.clone()) for scheme in self._schemes for rate in scheme.lr_buffers()]
        if config.gradient_clip is not None:
            self.optimizer.register_step_pre_hook(self._clip_gradients)
        self.pipeline = TrainPipeline(
            model, self.optimizer, self._loss, device=next(model.parameters()).device, overlap=self._can_overlap()
        )

    def _can_overlap(self) -> bool:
        """Return whether ids may be sent to other ranks ahead of their step."""
        is_cuda = next(self.model.parameters()).device.type == "cuda"
        reads_twice = any(type(scheme).gradient_leaves is not Scheme.gradient_leaves for scheme in self._schemes)
        has_tables = any(True for _ in self.model.module.lookup.children())  # else there are no ids to send
        return is_cuda and self.world.size > 1 and has_tables and not reads_twice

    # --- training -------------------------------------------------------------------------------------------------

    def start_epoch(self, batches: Iterator[Batch], *, number: int = 1) -> None:
        """Take the batches that the next training steps train on.

        Args:
            batches: This rank's parts of the batches of an epoch, or of the rest of one.
            number: Number of the epoch, from 1, for messages.
        """
        self.epoch = number
        self.pipeline.begin(batches)

    def train_step(self) -> None:
        """Train tables and dense part on the next batch.

        Raises:
            ConfigError: The loss is not finite.
        """
        self.first_pass()
        self.second_pass()

    def train_on(self, batch: Batch) -> None:
        """Train on one given batch, outside of an epoch."""
        self.start_epoch(iter([batch]))
        self.train_step()

    def first_pass(self) -> None:
        """Do one step of both optimizers on the next batch."""
        self.batch = self.pipeline.step()
        self.signals = self.batch.signals if self.world.size > 1 else self.poll_signals()
        self._loss_sum = self._loss_sum.to(self.batch_loss.device) + self.batch_loss.double() * self.batch.batch_rows
        self._rows_seen += self.batch.num_rows
        if self._steps_to_check == 0:
            if not torch.isfinite(self.batch_loss):
                raise self._diverged(f"the training loss is {self.batch_loss.item()}")
            self._steps_to_check = CHECK_EVERY[self.batch_loss.device.type]
        self._steps_to_check -= 1

    def second_pass(self) -> None:
        """Give the schemes that ask for it the gradient of a second pass over the same batch."""
        leaves = {scheme: found for scheme in self._schemes if (found := scheme.gradient_leaves())}
        if not leaves:
            return
        found = self.gradients(self.batch, [leaf for of_scheme in leaves.values() for leaf in of_scheme])
        gradients = iter(found)
        for scheme, of_scheme in leaves.items():
            scheme.apply_gradients([next(gradients) for _ in of_scheme], self.batch.batch_rows)

    def gradients(self, batch: Batch, leaves: Sequence[Tensor], *, is_training: bool = True) -> list[Tensor]:
        """Return the gradients of the loss on a batch with respect to some leaves, and change nothing.

        Tables, dense parameters and their gradients, and the statistics of batch normalization stay as they are. Every
        rank must call it.

        Args:
            batch: This rank's part of any batch.
            leaves: Tensors that require a gradient and that the forward pass uses.
            is_training: Whether the rows are training rows, which may lack negatives that other splits have.

        Returns:
            One gradient for each leaf, in the leaf's shape, summed over ranks.
        """
        with keeping_batch_norm_statistics(self.model.module):
            logits = self.model.module(batch).logits
            corrected = logits if is_training or self.negatives is None else logits + self.negatives.logit_shift
            loss = self._mean_over_rows(corrected, batch)
            found = torch.autograd.grad(loss, list(leaves))
        return [sum_over_ranks(gradient) for gradient in found]

    def _loss(self, batch: Batch) -> Tensor:
        """Return what is propagated back on this rank."""
        output = self.model(batch)
        loss = self._mean_over_rows(output.logits, batch)
        is_that_of_labels = self.negatives is None and batch.targets is None
        self.batch_loss = loss.detach() if is_that_of_labels else self._loss_of_labels(output.logits.detach(), batch)
        penalty = self.config.regularization.lambda_of(self.config.batch_size) * output.penalty
        total: Tensor = self.world.size * (loss + penalty) + output.scheme_loss
        return total

    def _mean_over_rows(self, logits: Tensor, batch: Batch) -> Tensor:
        """Return this rank's part of the loss of a batch, without penalties."""
        loss = self.loss(logits, batch.labels if batch.targets is None else batch.targets)
        return weighted_mean(loss, batch.weights, mean_weight=self.mean_weight, num_rows=batch.batch_rows)

    def _loss_of_labels(self, logits: Tensor, batch: Batch) -> Tensor:
        """Return this rank's part of the loss of labels, where that is not what is minimized.

        Without most negatives, it is an estimate for all rows: a negative that is left counts for those that are not.
        """
        weights, mean_weight = batch.weights, self.mean_weight
        if self.negatives is not None:
            counts = torch.where((batch.labels > 0).any(dim=1), 1.0, 1 / self.negatives.rate)
            weights, mean_weight = counts if weights is None else counts * weights, self.negatives.mean_weight
            logits = logits + self.negatives.logit_shift
        loss = self.loss(logits, batch.labels)
        return weighted_mean(loss, weights, mean_weight=mean_weight, num_rows=batch.batch_rows)

    def _clip_gradients(self, *_: Any) -> None:
        assert self.config.gradient_clip is not None
        parameters = [parameter for group in self.optimizer.param_groups for parameter in group["params"]]
        nn.utils.clip_grad_norm_(parameters, self.config.gradient_clip)

    # --- validation -----------------------------------------------------------------------------------------------

    def start_validation(self) -> None:
        """Stop the training pipeline, so that the model can be called with any batch, and forget former scores.

        Rows of tables are rounded to the precision in which they are served.
        """
        self.pipeline.end()
        round_served_rows(self.model)
        self._collector = ScoreCollector(self.link)

    def validate_batch(self, batch: Batch) -> None:
        """Score this rank's part of a batch; the model must be in evaluation mode."""
        self._collector.add(batch, self.model(batch).logits)

    def finish_validation(self, compared_by: str) -> dict[str, float]:
        """Return the metrics of all batches scored since `start_validation`, on every rank.

        Args:
            compared_by: Name of the metric by which epochs are compared.

        Raises:
            ConfigError: A prediction is not a number.
        """
        scores = self._collector.finish()
        if scores is not None and np.isnan(scores.probabilities).any():
            raise self._diverged("predictions for the validation rows are nan")
        return broadcast({} if scores is None else scores.metrics(self.tasks, epoch_metrics(compared_by)))

    def _diverged(self, what: str) -> ConfigError:
        rates = f"dense {self.config.dense_optimizer.lr:g}, sparse {self.config.sparse_optimizer.lr:g}"
        return ConfigError(
            f"train: training diverged in epoch {self.epoch}: {what}; "
            f"lower the learning rate (now {rates}), or normalize the numbers"
        )

    # --- learning rates -------------------------------------------------------------------------------------------

    def multiply_learning_rates(self, factor: float) -> None:
        """Multiply the learning rates of the dense part, of the tables, and of the schemes' own rows."""
        for group in self.optimizer.param_groups:
            group["lr"] *= factor
        self.set_table_learning_rates([factor * rate for rate in self.table_learning_rates()])
        for scheme in self._schemes:
            for rate in scheme.lr_buffers():
                rate.mul_(factor)

    def scale_learning_rates(self, factor: float) -> None:
        """Set the learning rates of dense part, tables and the schemes' own rows to `factor` times the first ones.

        That of a frozen dense part is set to 0.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = 0.0 if self.is_dense_frozen else factor * self.config.dense_optimizer.lr
        self.set_table_learning_rates([factor * self.config.sparse_optimizer.lr] * len(self.table_learning_rates()))
        for rate, first in self._scheme_rates:
            torch.mul(first, factor, out=rate)

    def table_learning_rates(self) -> list[float]:
        """Return the learning rates of the tables, which TorchRec leaves out of the state of its optimizer."""
        return [group["lr"] for group in self.model.fused_optimizer.param_groups]

    def set_table_learning_rates(self, rates: list[float]) -> None:
        """Set the learning rates of the tables."""
        tables = self.model.fused_optimizer
        for group, rate in zip(tables.param_groups, rates, strict=True):
            group["lr"] = rate
        tables.step()  # only hands the rates to the kernel: rows are updated in the backward pass

    # --- the training loss of an epoch ----------------------------------------------------------------------------

    def mean_loss(self) -> float:
        """Return the mean training loss of the rows of this epoch, without penalties; every rank must call it.

        Rows count as their weights, for they do in the loss of a batch.
        """
        total, rows = sum_over_ranks(torch.tensor([float(self._loss_sum), self._rows_seen], dtype=torch.float64))
        return float(total) / max(int(rows), 1)

    def loss_state(self) -> dict[str, float]:
        """Return what `mean_loss` is computed from on this rank, for a checkpoint."""
        return {"sum": float(self._loss_sum), "rows": self._rows_seen}

    def load_loss_state(self, state: dict[str, float]) -> None:
        """Take over the `loss_state` of a checkpoint."""
        self._loss_sum.fill_(state["sum"])
        self._rows_seen = int(state["rows"])

    def reset_losses(self) -> None:
        """Forget the losses of the epoch that is over."""
        self.load_loss_state({"sum": 0.0, "rows": 0})
