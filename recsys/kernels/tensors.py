"""The tensors that kernels take, and how they are handed to C."""

import ctypes
from typing import Any

import torch
from torch import Tensor

from recsys.kernels.library import find_kernels

__all__ = ["Arguments", "call", "has_kernels", "padded", "takes"]

_TYPES = (torch.float32, torch.bfloat16)


def takes(*tensors: Tensor) -> bool:
    """Return whether the kernels are used for what is computed from these tensors.

    They are in training on a CPU, for float32, and for bfloat16 where autocast asks for it, on machines where `recsys
    doctor` says so. Export, CUDA and double precision have the plain form; so has all that is computed without
    gradients, for scores shall be those of the exported model (a difference of 1e-7 in each layer may be one of 1e-5 in
    the probability of a confident model).
    """
    is_half = torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu") not in _TYPES
    if not torch.is_grad_enabled() or is_half or any(not _is_fit(tensor) for tensor in tensors):
        return False
    return has_kernels()


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
