"""Kernels of each instruction set that this machine has, and what torch does without them."""

import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import Tensor

from recsys.environment.machine import read_cpu_flags
from recsys.files import scratch_folder
from recsys.kernels import tensors
from recsys.kernels.library import InstructionSet, Kernels, find_kernels, instruction_sets, open_library

__all__ = ["INSTRUCTION_SETS", "assert_alike", "needs_kernels", "with_kernels", "without_kernels"]

needs_kernels = pytest.mark.skipif(
    find_kernels().library is None, reason=f"no native kernels on this machine: {find_kernels().detail}"
)
INSTRUCTION_SETS = instruction_sets(platform.machine(), read_cpu_flags())


@contextmanager
def with_kernels(chosen: InstructionSet) -> Iterator[None]:
    """Use the kernels of an instruction set, compiled anew."""
    with scratch_folder() as folder:
        yield from _using(Kernels(open_library(chosen, folder), chosen.lanes, "compiled by a test"))


@contextmanager
def without_kernels() -> Iterator[None]:
    """Let torch do the work, as on a machine without compiler."""
    yield from _using(Kernels(None, 0, "left out by a test"))


def _using(kernels: Kernels) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tensors, "find_kernels", lambda: kernels)
        yield


def assert_alike(compute: Callable[[], list[Tensor]], *, tolerance: float = 1e-5) -> None:
    """Compare what a function computes with kernels and without."""
    with without_kernels():
        expected = compute()
    for got, wanted in zip(compute(), expected, strict=True):
        torch.testing.assert_close(
            got, wanted, rtol=tolerance, atol=tolerance * max(1.0, float(wanted.detach().abs().max()))
        )
