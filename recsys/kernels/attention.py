"""Self-attention over the few rows of each example: one pass in the first cache, where torch makes a dozen over memory.

Dimension key: B examples, M rows of an example, D their width, H heads, W width of a head, A = H * W, L = M rounded up
to the lanes of the CPU's vectors.
"""

import ctypes
import itertools
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from recsys.kernels.draws import draw_factors
from recsys.kernels.tensors import Arguments, call, padded

__all__ = ["attend"]

CACHED_BYTES = 2**20
"""Projections, or their gradients, that are computed and used before the next ones are: half of a second cache."""


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
        dropout: Share of the attention weights that is left out.
    """
    weight = torch.cat(weights)
    if torch.is_autocast_enabled("cpu"):
        rows_BMD, weight = (given.to(torch.get_autocast_dtype("cpu")) for given in (rows_BMD, weight))
    num_examples, num_rows = rows_BMD.shape[:2]
    factors = None
    if dropout > 0:
        factors = draw_factors((num_examples, num_heads, num_rows, num_rows), dropout, torch.float32)
    given = (rows_BMD, weight, kept_BM, factors, num_heads, len(weights), scale)
    output: Tensor
    if torch.is_grad_enabled():
        output, *_ = _attention(*given)
    else:  # nothing is kept but the projections of a chunk
        output = rows_BMD.new_empty(num_examples, num_rows, len(weight) // len(weights))
        size = min(_chunk_size(rows_BMD, weight), num_examples)
        _fill(output, rows_BMD.new_empty(size, num_rows, len(weight)), None, *given)
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


def _chunk_size(rows: Tensor, weight: Tensor) -> int:
    """Return how many examples are projected at a time: the second cache of each thread holds what lies between."""
    bytes_of_one = rows.shape[1] * len(weight) * rows.element_size()
    return max(1, CACHED_BYTES // bytes_of_one) * torch.get_num_threads()


def _chunks(size: int, *tensors: Tensor | None) -> Iterator[Any]:
    """Yield the same examples of each tensor (B, ..), a chunk at a time; None of None."""
    return zip(
        *(itertools.repeat(None) if tensor is None else torch.split(tensor, size) for tensor in tensors), strict=False
    )


def _fill(
    output: Tensor,
    projected: Tensor,
    weights: Tensor | None,
    rows: Tensor,
    weight: Tensor,
    kept: Tensor | None,
    dropout: Tensor | None,
    num_heads: int,
    num_parts: int,
    scale: float,
) -> None:
    """Fill the output, and what its gradient needs: projections, of all examples or of one chunk, and weights."""
    size = _chunk_size(rows, weight)
    places = itertools.cycle(torch.split(projected, size))
    for place, (chunk, *others) in zip(places, _chunks(size, rows, output, weights, kept, dropout), strict=False):
        filled = place[: len(chunk)]
        torch.mm(chunk.flatten(0, 1), weight.t(), out=filled.flatten(0, 1))
        tensors = dict(zip(("output", "weights", "kept", "dropout"), others, strict=True))
        call("attention_forward", _arguments(filled, num_heads, num_parts, scale, **tensors), len(chunk))


@torch.library.custom_op("recsys::attention", mutates_args=(), device_types="cpu")
def _attention(
    rows: Tensor,
    weight: Tensor,
    kept: Tensor | None,
    dropout: Tensor | None,
    num_heads: int,
    num_parts: int,
    scale: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the output (B, M, A), and what its gradient needs.

    That are the projections (B, M, num_parts * A) and the attention weights (B, H, M, L), key by query.
    """
    output, projected, weights = _empty(rows, weight, num_heads, num_parts)
    _fill(output, projected, weights, rows, weight, kept, dropout, num_heads, num_parts, scale)
    return output, projected, weights


@_attention.register_fake
def _empty_attention(
    rows: Tensor,
    weight: Tensor,
    kept: Tensor | None,  # noqa: ARG001
    dropout: Tensor | None,  # noqa: ARG001
    num_heads: int,
    num_parts: int,
    scale: float,  # noqa: ARG001
) -> tuple[Tensor, Tensor, Tensor]:
    return _empty(rows, weight, num_heads, num_parts)


def _empty(rows: Tensor, weight: Tensor, num_heads: int, num_parts: int) -> tuple[Tensor, Tensor, Tensor]:
    num_examples, num_rows, _ = rows.shape
    output = rows.new_empty(num_examples, num_rows, len(weight) // num_parts)
    projected = rows.new_empty(num_examples, num_rows, len(weight))
    weights = rows.new_empty(num_examples, num_heads, num_rows, padded(num_rows), dtype=torch.float32)
    return output, projected, weights


@torch.library.custom_op("recsys::attention_backward", mutates_args=(), device_types="cpu")
def _attention_backward(
    gradient: Tensor,
    rows: Tensor,
    weight: Tensor,
    output: Tensor,
    projected: Tensor,
    weights: Tensor,
    kept: Tensor | None,
    dropout: Tensor | None,
    num_heads: int,
    num_parts: int,
    scale: float,
) -> tuple[Tensor, Tensor]:
    """Return the gradients of `rows` and `weight`."""
    of_rows, of_weight = rows.new_empty(rows.shape), torch.zeros(weight.shape)
    size = _chunk_size(rows, weight)
    of_projected = projected.new_empty(projected[:size].shape)
    for chunk, of_chunk, projections, *others in _chunks(
        size, rows, of_rows, projected, output, gradient, weights, kept, dropout
    ):
        filled = of_projected[: len(chunk)]
        tensors = dict(zip(("output", "grad_output", "weights", "kept", "dropout"), others, strict=True))
        arguments = _arguments(projections, num_heads, num_parts, scale, grad_projected=filled, **tensors)
        call("attention_backward", arguments, len(chunk))
        torch.mm(filled.flatten(0, 1), weight, out=of_chunk.flatten(0, 1))
        of_weight += filled.flatten(0, 1).t() @ chunk.flatten(0, 1)
    return of_rows, of_weight.to(weight.dtype)


@_attention_backward.register_fake
def _empty_gradients(gradient: Tensor, rows: Tensor, weight: Tensor, *_: Any) -> tuple[Tensor, Tensor]:  # noqa: ARG001
    return rows.new_empty(rows.shape), torch.empty_like(weight)


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor, Tensor]) -> None:
    rows, weight, kept, dropout, *ctx.constants = inputs
    ctx.save_for_backward(rows, weight, *output, kept, dropout)
    ctx.mark_non_differentiable(*output[1:])
    ctx.set_materialize_grads(False)


def _propagate(ctx: Any, gradient: Tensor, *_: None) -> tuple[Tensor | None, ...]:
    return (*_attention_backward(gradient, *ctx.saved_tensors, *ctx.constants), *[None] * 5)


_attention.register_autograd(_propagate, setup_context=_save)
