"""Self-attention over the few rows of each example: one pass in the first cache, where torch makes a dozen over memory.

Dimension key: B examples, M rows of an example, D their width, H heads, W width of a head, A = H * W, L = M rounded up
to the lanes of the CPU's vectors.
"""

import ctypes
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from recsys.kernels.tensors import Arguments, call, padded

__all__ = ["attend"]


def attend(
    rows_BMD: Tensor, weights: list[Tensor], *, kept_BM: Tensor | None, num_heads: int, scale: float, dropout: float
) -> Tensor:
    """Return relu(dropout(softmax(scale q k')) v + r), (B, M, A).

    Args:
        rows_BMD: What is attended to, and by what.
        weights: Of the projections to query, key, value and, if there are four, the residual r; each (A, D).
        kept_BM: Keys that are attended to, bool; None for all. An example that keeps none attends to all.
        num_heads: H.
        scale: What scores are multiplied by.
        dropout: Share of the attention weights that is left out. They are drawn as those of torch's own dropout are.
    """
    projected = functional.linear(rows_BMD, torch.cat(weights))
    num_examples, num_rows = rows_BMD.shape[:2]
    factors = None
    if dropout > 0:
        factors = functional.dropout(torch.ones(num_examples, num_heads, num_rows, num_rows), dropout)
    keep = torch.is_grad_enabled() and projected.requires_grad
    output: Tensor = _attention(projected, kept_BM, factors, num_heads, len(weights), scale, keep)[0]
    return output


class _Arguments(Arguments):
    """`Attention` of attention.c."""

    _fields_ = (
        ("projected", ctypes.c_void_p),
        ("kept", ctypes.c_void_p),
        ("dropout", ctypes.c_void_p),
        ("weights", ctypes.c_void_p),
        ("output", ctypes.c_void_p),
        ("grad_output", ctypes.c_void_p),
        ("grad_projected", ctypes.c_void_p),
        ("num_rows", ctypes.c_long),
        ("num_heads", ctypes.c_long),
        ("width", ctypes.c_long),
        ("num_parts", ctypes.c_long),
        ("is_bf16", ctypes.c_long),
        ("scale", ctypes.c_float),
    )


def _arguments(projected: Tensor, num_heads: int, num_parts: int, scale: float, **tensors: Tensor | None) -> _Arguments:
    arguments = _Arguments(
        num_rows=projected.shape[1],
        num_heads=num_heads,
        width=projected.shape[2] // num_parts // num_heads,
        num_parts=num_parts,
        is_bf16=projected.dtype == torch.bfloat16,
        scale=scale,
    )
    arguments.point_to(projected=projected, **tensors)
    return arguments


@torch.library.custom_op("recsys::attention", mutates_args=(), device_types="cpu")
def _attention(
    projected: Tensor,
    kept: Tensor | None,
    dropout: Tensor | None,
    num_heads: int,
    num_parts: int,
    scale: float,
    keep_weights: bool,
) -> tuple[Tensor, Tensor]:
    """Return the output (B, M, A), and the attention weights (B, H, M, L), key by query, that its gradient needs."""
    output, weights = _empty(projected, num_heads, num_parts, keep_weights)
    arguments = _arguments(projected, num_heads, num_parts, scale, kept=kept, dropout=dropout, output=output)
    if keep_weights:
        arguments.point_to(weights=weights)
    call("attention_forward", arguments, len(projected))
    return output, weights


@_attention.register_fake
def _empty_attention(
    projected: Tensor,
    kept: Tensor | None,  # noqa: ARG001
    dropout: Tensor | None,  # noqa: ARG001
    num_heads: int,
    num_parts: int,
    scale: float,  # noqa: ARG001
    keep_weights: bool,
) -> tuple[Tensor, Tensor]:
    return _empty(projected, num_heads, num_parts, keep_weights)


def _empty(projected: Tensor, num_heads: int, num_parts: int, keep_weights: bool) -> tuple[Tensor, Tensor]:
    num_examples, num_rows, width = projected.shape
    shape = (num_examples, num_heads, num_rows, padded(num_rows)) if keep_weights else (0,)
    output = projected.new_empty(num_examples, num_rows, width // num_parts)
    return output, projected.new_empty(shape, dtype=torch.float32)


@torch.library.custom_op("recsys::attention_backward", mutates_args=(), device_types="cpu")
def _attention_backward(
    gradient: Tensor,
    projected: Tensor,
    output: Tensor,
    weights: Tensor,
    kept: Tensor | None,
    dropout: Tensor | None,
    num_heads: int,
    num_parts: int,
    scale: float,
) -> Tensor:
    """Return the gradient of `projected`."""
    result = projected.new_empty(projected.shape)
    arguments = _arguments(projected, num_heads, num_parts, scale, kept=kept, dropout=dropout, output=output)
    arguments.point_to(weights=weights, grad_output=gradient, grad_projected=result)
    call("attention_backward", arguments, len(projected))
    return result


@_attention_backward.register_fake
def _empty_gradient(gradient: Tensor, projected: Tensor, *_: Any) -> Tensor:  # noqa: ARG001
    return projected.new_empty(projected.shape)


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    projected, kept, dropout, *ctx.constants, _ = inputs
    ctx.save_for_backward(projected, *output, kept, dropout)
    ctx.mark_non_differentiable(output[1])
    ctx.set_materialize_grads(False)


def _propagate(ctx: Any, gradient: Tensor, _: None) -> tuple[Tensor | None, ...]:
    return (_attention_backward(gradient, *ctx.saved_tensors, *ctx.constants), *[None] * 6)


_attention.register_autograd(_propagate, setup_context=_save)
