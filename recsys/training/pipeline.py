"""Training steps by TorchRec's pipelines: while one batch is trained, the next ones are on their way.

    CUDA, several devices:  copy of batch i+2 | ids of batch i+1 to the ranks that hold their rows | step of batch i
    else:                   copy of batch i+1 | step of batch i

Lightning's loop counts the steps but does not hold the batches: the pipeline takes them from the reader itself, some
steps ahead.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torchrec.distributed.model_parallel import DistributedModelParallel
from torchrec.distributed.train_pipeline import TrainPipelineBase, TrainPipelineSparseDist

from recsys.embeddings import Batch

__all__ = ["TrainPipeline"]


class TrainPipeline:
    """Does one training step after the other.

    Args:
        model: The sharded model, in training mode.
        optimizer: The optimizer of the dense part.
        loss: Returns what is propagated back for a batch, (1,) or ().
        device: The device of the model.
        overlap: Whether to send ids ahead of their step; not for a model that reads a batch twice, since ids that were
            sent are used up.
    """

    def __init__(
        self,
        model: DistributedModelParallel,
        optimizer: torch.optim.Optimizer,
        loss: Callable[[Batch], Tensor],
        *,
        device: torch.device,
        overlap: bool,
    ) -> None:
        self._batches: Iterator[Batch] = iter(())
        with_loss = _WithLoss(model, loss)
        self._pipeline: TrainPipelineSparseDist | TrainPipelineBase
        if overlap:
            self._pipeline = TrainPipelineSparseDist(model, optimizer, device, custom_model_fwd=with_loss)
        else:
            self._pipeline = TrainPipelineBase(with_loss, optimizer, device)

    def begin(self, batches: Iterator[Batch]) -> None:
        """Take the batches of an epoch, or of the rest of one."""
        self._batches = batches
        if isinstance(self._pipeline, TrainPipelineBase):
            self._pipeline.reset()  # else it would not look at another iterator

    def step(self) -> Batch:
        """Train on the next batch and return it."""
        batch: Batch = self._pipeline.progress(self._batches)
        return batch

    def end(self) -> None:
        """Detach the model, which can be called with any batch until the next step."""
        if isinstance(self._pipeline, TrainPipelineSparseDist):
            self._pipeline.detach()


class _WithLoss(nn.Module):
    """Computes what a pipeline expects: the losses, (1,), and what `step` returns."""

    def __init__(self, model: nn.Module, loss: Callable[[Batch], Tensor]) -> None:
        super().__init__()
        self.model = model
        self.loss = loss

    def forward(self, batch: Batch) -> tuple[Tensor, Batch]:
        return self.loss(batch).reshape(1), batch  # the pipeline adds up a vector of losses
