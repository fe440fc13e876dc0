"""The tensors that kernels take, and how they are handed to C."""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor

from recsys.kernels.library import find_kernels

__all__ = ["Arguments", "call", "has_kernels", "padded", "plain_form", "takes"]

_TYPES = (torch.float32, torch.bfloat16)
_is_plain = ContextVar("_is_plain", default=False)


def takes(*tensors: Tensor) -> bool:
    """Return whether the kernels are used for what is computed from these tensors.

    They are on a CPU, for float32, and for bfloat16 where autocast asks for it, on machines where `recsys doctor` says
    so. CUDA, double precision, programs of torch.export and what is computed in a `plain_form` have the plain form.
    """
    is_half = torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu") not in _TYPES
    is_plain = _is_plain.get() or torch.compiler.is_exporting()
    if is_plain or is_half or any(not _is_fit(tensor) for tensor in tensors):
        return False
    return has_kernels()


@contextmanager
def plain_form() -> Iterator[None]:
    """Leave to torch what this thread computes here: the operations are those of exported models, to the last bit.

    A difference of 1e-7 in each layer may be one of 1e-5 in the probability of a confident model.
    """
    token = _is_plain.set(True)
    try:
        yield
    finally:
        _is_plain.reset(token)


def has_kernels() -> bool:
    """Return whether this machine has kernels."""
    return find_kernels().library is not None


def _is_fit(tensor: Tensor) -> bool:
    return tensor.device.type == "cpu" and tensor.dtype in _TYPES and tensor.numel() > 0


def padded(count: int) -> int:
    """Return a number of columns rounded up to the lanes of the CPU's vectors."""
    lanes = find_kernels().lanes
    return -(-count // lanes) * lanes


class Arguments(ctypes.Structure):
    """Arguments of a kernel; keeps the tensors that it points to."""

    def point_to(self, **tensors: Tensor | None) -> None:
        """Point to the numbers of tensors, laid out without gaps; None is NULL. What is written must lie so already."""
        dense = {name: tensor.contiguous() for name, tensor in tensors.items() if tensor is not None}
        for name, tensor in dense.items():
            setattr(self, name, tensor.data_ptr())
        self.tensors = [*getattr(self, "tensors", []), *dense.values()]


def call(name: str, arguments: Arguments, count: int) -> None:
    """Call a kernel for `count` examples, on as many threads as torch has.

    Raises:
        MemoryError: There was none for its temporaries.
    """
    function: Any = getattr(find_kernels().library, name)
    if not function(ctypes.byref(arguments), ctypes.c_long(count), ctypes.c_long(torch.get_num_threads())):
        raise MemoryError(f"kernel {name}: no memory for its temporaries")
