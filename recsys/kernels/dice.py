"""Dice over the rows of a batch in two passes over memory, where torch makes eight.

Dimension key: R rows, C channels.
"""

import ctypes
from typing import Any

import torch
from torch import Tensor

from recsys.kernels.tensors import Arguments, call

__all__ = ["bend", "moments"]


def moments(rows_RC: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and variance of each channel, (C,) float32; what is divided by is the number of rows."""
    mean, var = _moments(rows_RC.detach())
    return mean, var


def bend(rows_RC: Tensor, alpha_C: Tensor, mean_C: Tensor, var_C: Tensor, *, of_rows: bool, eps: float) -> Tensor:
    """Return x (alpha + (1 - alpha) sigmoid((x - mean) / sqrt(var + eps))), (R, C).

    Args:
        rows_RC: x.
        alpha_C: Slopes where the gate is closed, float32.
        mean_C: Means, float32.
        var_C: Variances, float32.
        of_rows: Whether mean and variance are the `moments` of the rows; the gradient passes through them then.
        eps: What is added to the variance.
    """
    result: Tensor = _dice(rows_RC, alpha_C, mean_C, var_C, of_rows, eps)
    return result


class _Arguments(Arguments):
    """`Dice` of dice.c."""

    _fields_ = (
        ("rows", ctypes.c_void_p),
        ("alpha", ctypes.c_void_p),
        ("mean", ctypes.c_void_p),
        ("var", ctypes.c_void_p),
        ("output", ctypes.c_void_p),
        ("grad_output", ctypes.c_void_p),
        ("grad_rows", ctypes.c_void_p),
        ("grad_alpha", ctypes.c_void_p),
        ("num_rows", ctypes.c_long),
        ("num_channels", ctypes.c_long),
        ("is_bf16", ctypes.c_long),
        ("of_rows", ctypes.c_long),
        ("eps", ctypes.c_float),
        ("sums", ctypes.c_void_p),
        ("factors", ctypes.c_void_p),
    )


def _arguments(rows: Tensor, *, of_rows: bool = False, eps: float = 0.0, **tensors: Tensor) -> _Arguments:
    num_rows, num_channels = rows.shape
    is_bf16 = rows.dtype == torch.bfloat16
    arguments = _Arguments(num_rows=num_rows, num_channels=num_channels, is_bf16=is_bf16, of_rows=of_rows, eps=eps)
    arguments.point_to(rows=rows, **tensors)
    return arguments


@torch.library.custom_op("recsys::moments", mutates_args=(), device_types="cpu")
def _moments(rows: Tensor) -> tuple[Tensor, Tensor]:
    mean, var = _empty_moments(rows)
    call("dice_moments", _arguments(rows, mean=mean, var=var), len(rows))
    return mean, var


@_moments.register_fake
def _empty_moments(rows: Tensor) -> tuple[Tensor, Tensor]:
    mean, var = (rows.new_empty(rows.shape[1], dtype=torch.float32) for _ in range(2))
    return mean, var


@torch.library.custom_op("recsys::dice", mutates_args=(), device_types="cpu")
def _dice(rows: Tensor, alpha: Tensor, mean: Tensor, var: Tensor, of_rows: bool, eps: float) -> Tensor:
    output = rows.new_empty(rows.shape)
    arguments = _arguments(rows, of_rows=of_rows, eps=eps, alpha=alpha, mean=mean, var=var, output=output)
    call("dice_forward", arguments, len(rows))
    return output


@_dice.register_fake
def _empty_dice(rows: Tensor, *_: Any) -> Tensor:
    return rows.new_empty(rows.shape)


@torch.library.custom_op("recsys::dice_backward", mutates_args=(), device_types="cpu")
def _dice_backward(
    gradient: Tensor, rows: Tensor, alpha: Tensor, mean: Tensor, var: Tensor, of_rows: bool, eps: float
) -> tuple[Tensor, Tensor]:
    """Return the gradients of rows and alpha."""
    of_input, of_alpha = rows.new_empty(rows.shape), torch.empty_like(alpha)
    arguments = _arguments(rows, of_rows=of_rows, eps=eps, alpha=alpha, mean=mean, var=var)
    arguments.point_to(grad_output=gradient, grad_rows=of_input, grad_alpha=of_alpha)
    call("dice_backward", arguments, len(rows))
    return of_input, of_alpha


@_dice_backward.register_fake
def _empty_gradients(gradient: Tensor, rows: Tensor, alpha: Tensor, *_: Any) -> tuple[Tensor, Tensor]:  # noqa: ARG001
    return rows.new_empty(rows.shape), torch.empty_like(alpha)


def _save(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:  # noqa: ARG001
    *tensors, ctx.of_rows, ctx.eps = inputs
    ctx.save_for_backward(*tensors)


def _propagate(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
    of_rows, of_alpha = _dice_backward(gradient, *ctx.saved_tensors, ctx.of_rows, ctx.eps)
    return of_rows, of_alpha, None, None, None, None


_dice.register_autograd(_propagate, setup_context=_save)
