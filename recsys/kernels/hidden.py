"""Batch norm, ReLU and dropout of a hidden layer in few passes over memory, where torch makes a dozen.

Dimension key: R rows, C channels.
"""

import ctypes
from typing import Any

import torch
from torch import Tensor

from recsys.kernels.tensors import Arguments, call

__all__ = ["activate"]


def activate(
    rows_RC: Tensor,
    mean_C: Tensor,
    var_C: Tensor,
    weight_C: Tensor,
    bias_C: Tensor,
    *,
    draws_RC: Tensor | None,
    num_dropped: int,
    eps: float,
) -> Tensor:
    """Return dropout(relu(weight (x - mean) / sqrt(var + eps) + bias)), (R, C).

    Args:
        rows_RC: x.
        mean_C: Means of the rows, float32. The gradient of the rows passes through them and through the variances.
        var_C: Variances of the rows, float32.
        weight_C: Factors of what is normalized, float32.
        bias_C: What is added to it, float32.
        draws_RC: Uniform draws by which dropout decides, int16; None without dropout.
        num_dropped: Number of the 2^16 values of a draw, the lowest ones, for which an element is dropped.
        eps: What is added to the variance.
    """
    result: Tensor = _hidden(rows_RC, mean_C, var_C, weight_C, bias_C, draws_RC, num_dropped, eps)
    return result


class _Arguments(Arguments):
    """`Hidden` of hidden.c."""

    _fields_ = (
        ("rows", ctypes.c_void_p),
        ("mean", ctypes.c_void_p),
        ("var", ctypes.c_void_p),
        ("weight", ctypes.c_void_p),
        ("bias", ctypes.c_void_p),
        ("draws", ctypes.c_void_p),
        ("output", ctypes.c_void_p),
        ("grad_output", ctypes.c_void_p),
        ("grad_rows", ctypes.c_void_p),
        ("grad_weight", ctypes.c_void_p),
        ("grad_bias", ctypes.c_void_p),
        ("num_rows", ctypes.c_long),
        ("num_channels", ctypes.c_long),
        ("is_bf16", ctypes.c_long),
        ("first_kept", ctypes.c_long),
        ("kept_scale", ctypes.c_float),
        ("eps", ctypes.c_float),
        ("sums", ctypes.c_void_p),
        ("factors", ctypes.c_void_p),
    )


def _arguments(rows: Tensor, num_dropped: int, eps: float, **tensors: Tensor | None) -> _Arguments:
    num_rows, num_channels = rows.shape
    arguments = _Arguments(
        num_rows=num_rows,
        num_channels=num_channels,
        is_bf16=rows.dtype == torch.bfloat16,
        first_kept=num_dropped - 2**15,
        kept_scale=2**16 / (2**16 - num_dropped),
        eps=eps,
    )
    arguments.point_to(rows=rows, **tensors)
    return arguments


@torch.library.custom_op("recsys::hidden", mutates_args=(), device_types="cpu")
def _hidden(
    rows: Tensor,
    mean: Tensor,
    var: Tensor,
    weight: Tensor,
    bias: Tensor,
    draws: Tensor | None,
    num_dropped: int,
    eps: float,
) -> Tensor:
    output = rows.new_empty(rows.shape)
    arguments = _arguments(rows, num_dropped, eps, mean=mean, var=var, weight=weight, bias=bias, draws=draws)
    arguments.point_to(output=output)
    call("hidden_forward", arguments, len(rows))
    return output


@_hidden.register_fake
def _empty_hidden(rows: Tensor, *_: Any) -> Tensor:
    return rows.new_empty(rows.shape)


@torch.library.custom_op("recsys::hidden_backward", mutates_args=(), device_types="cpu")
def _hidden_backward(
    gradient: Tensor,
    output: Tensor,
    rows: Tensor,
    mean: Tensor,
    var: Tensor,
    weight: Tensor,
    num_dropped: int,
    eps: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of rows, weight and bias."""
    of_rows, of_weight, of_bias = _empty(rows, weight)
    arguments = _arguments(rows, num_dropped, eps, mean=mean, var=var, weight=weight, output=output)
    arguments.point_to(grad_output=gradient, grad_rows=of_rows, grad_weight=of_weight, grad_bias=of_bias)
    call("hidden_backward", arguments, len(rows))
    return of_rows, of_weight, of_bias


@_hidden_backward.register_fake
def _empty_gradients(
    gradient: Tensor,  # noqa: ARG001
    output: Tensor,  # noqa: ARG001
    rows: Tensor,
    mean: Tensor,  # noqa: ARG001
    var: Tensor,  # noqa: ARG001
    weight: Tensor,
    *_: Any,
) -> tuple[Tensor, Tensor, Tensor]:
    return _empty(rows, weight)


def _empty(rows: Tensor, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return room for the gradients."""
    return rows.new_empty(rows.shape), weight.new_empty(weight.shape), weight.new_empty(weight.shape)


def _save(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    rows, mean, var, weight, _, _, *ctx.constants = inputs
    ctx.save_for_backward(output, rows, mean, var, weight)


def _propagate(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
    of_rows, of_weight, of_bias = _hidden_backward(gradient, *ctx.saved_tensors, *ctx.constants)
    return of_rows, None, None, of_weight, of_bias, None, None, None


_hidden.register_autograd(_propagate, setup_context=_save)
