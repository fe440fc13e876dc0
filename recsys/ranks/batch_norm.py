"""Batch normalization over the rows of all ranks, each of which has a part of the batch.

    forward:  count, mean and sum of squares of each rank's rows --gather--> those of the batch
    backward: two sums over the rows of all ranks

Every rank must take part in each pass, also with no rows. `torch.nn.SyncBatchNorm` does the same, but on CUDA only, and
refuses a rank without rows.

Dimension key: R rows of one rank, C channels, K ranks.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor, distributed, nn
from torch.nn import functional

from recsys.ranks.collectives import sum_over_ranks
from recsys.ranks.world import current_world

__all__ = ["MOMENTUM", "BatchNorm", "batch_norm", "is_distributed"]

MOMENTUM = 0.1
"""Weight of a batch in the moving averages."""


class BatchNorm(nn.Module):
    """Batch normalization of (rows, channels) that also trains on a batch of one row, or of none.

    Such a batch has no variance: it is normalized by the moving averages (momentum 0.1), as in eval mode, and does not
    change them. `torch.nn.BatchNorm1d` raises instead, which would end a run at a last batch of one row.

    Shape:
        rows: (R, C).
        shares: (R, 1), fraction of each row that counts here, where several ranks hold the same row; None: all of it.
        output: (R, C).
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, num_channels: int, *, affine: bool = True, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(num_channels)) if affine else None
        self.bias = nn.Parameter(torch.zeros(num_channels)) if affine else None
        self.register_buffer("running_mean", torch.zeros(num_channels))
        self.register_buffer("running_var", torch.ones(num_channels))

    def forward(self, rows: Tensor, shares: Tensor | None = None) -> Tensor:
        return batch_norm(
            rows, shares, self.running_mean, self.running_var, self.weight, self.bias, self.training, self.eps
        )


@torch.fx.wrap
def batch_norm(
    rows: Tensor,
    shares: Tensor | None,
    mean: Tensor,
    var: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    training: bool,
    eps: float,
    momentum: float = MOMENTUM,
) -> Tensor:
    """Normalize as `BatchNorm` does, with moving averages of whoever calls."""
    if training and is_distributed():
        return _over_ranks(rows, shares, mean, var, weight, bias, eps, momentum)
    training = training and rows.shape[0] > 1
    return functional.batch_norm(rows, mean, var, weight, bias, training, momentum=momentum, eps=eps)


@torch.jit.unused  # models are scripted to be served
def is_distributed() -> bool:
    """Return whether other ranks hold rows of the same batch."""
    return current_world().size > 1


class _Moments(NamedTuple):
    """Moments of the rows of all ranks; the same to the last bit on each rank."""

    total: Tensor
    """(), number of rows, at least 1."""
    mean: Tensor
    """(C,)."""
    squares: Tensor
    """(C,), sum of the squared distances from the mean."""


@torch.jit.unused
def _over_ranks(
    rows: Tensor,
    shares: Tensor | None,
    running_mean: Tensor,
    running_var: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    eps: float,
    momentum: float,
) -> Tensor:
    wide = rows.to(torch.promote_types(rows.dtype, torch.float32))
    if shares is None:
        shares = wide.new_ones(len(rows), 1)
    with torch.no_grad():
        total, mean, squares = _gather_moments(wide, shares)
        is_batch = total > 1.5  # no branch, for which a GPU would have to wait; shares may add up to a bit more than 1
        used_mean = torch.where(is_batch, mean, running_mean).to(wide.dtype)
        used_var = torch.where(is_batch, squares / total, running_var).to(wide.dtype)
        step = (momentum * is_batch.double()).to(running_mean.dtype)
        running_mean.lerp_(mean.to(running_mean.dtype), step)
        running_var.lerp_((squares / (total - 1).clamp(min=1)).to(running_var.dtype), step)
        per_row = (is_batch / total).to(wide.dtype)
    result: Tensor = _Standardize.apply(wide, shares, used_mean, used_var, per_row, eps)  # type: ignore[no-untyped-call]
    if weight is not None and bias is not None:
        result = result * weight + bias
    return result.to(rows.dtype)


def _gather_moments(rows: Tensor, shares: Tensor) -> _Moments:
    """Merge the moments of the ranks' parts (Chan, Golub and LeVeque, 1979)."""
    count = shares.sum(dtype=torch.float64)
    mean_C = (rows * shares).sum(dim=0) / count.clamp(min=1e-30).to(rows.dtype)
    squares_C = ((rows - mean_C).square() * shares).sum(dim=0)
    own = torch.cat([count.unsqueeze(0), mean_C.double(), squares_C.double()])
    parts = [torch.empty_like(own) for _ in range(current_world().size)]
    distributed.all_gather(parts, own)
    moments_KX, num_channels = torch.stack(parts), len(mean_C)
    count_K1, mean_KC, squares_KC = moments_KX.tensor_split((1, 1 + num_channels), dim=1)
    total = count_K1.sum()
    total = torch.where(total == 0, 1.0, total)
    mean_C = (count_K1 * mean_KC).sum(dim=0) / total
    squares_C = (squares_KC + count_K1 * (mean_KC - mean_C).square()).sum(dim=0)
    return _Moments(total, mean_C, squares_C)


class _Standardize(torch.autograd.Function):
    """(rows - mean) / sqrt(var + eps), with the gradient that passes through mean and variance of all ranks' rows.

    Shape:
        rows: (R, C).
        shares: (R, 1).
        mean: (C,).
        var: (C,).
        per_row: (), weight of one row in the mean; 0 where mean and variance are the moving averages.
    """

    @staticmethod
    def forward(
        ctx: Any, rows: Tensor, shares: Tensor, mean: Tensor, var: Tensor, per_row: Tensor, eps: float
    ) -> Tensor:
        standard = functional.batch_norm(rows, mean, var, eps=eps)
        ctx.save_for_backward(standard, shares, var, per_row)
        ctx.eps = eps
        return standard

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None, None, None]:
        standard, shares, var, per_row = ctx.saved_tensors
        (gradient,) = gradients
        sums = sum_over_ranks(torch.stack([gradient.sum(dim=0), (gradient * standard).sum(dim=0)]))
        through_moments = (sums[0] + standard * sums[1]) * (shares * per_row)
        return (gradient - through_moments) * torch.rsqrt(var + ctx.eps), None, None, None, None, None
