"""Errors for memory that ran out: which tables hold most of it, and what in the configuration makes them smaller."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from recsys.errors import EnvironmentError_
from recsys.units import format_bytes

__all__ = ["explain_out_of_memory", "explaining_out_of_memory", "is_out_of_memory"]

_SIGNS = ("DefaultCPUAllocator: can't allocate memory", "DefaultCPUAllocator: not enough memory", "CUDA out of memory")


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether torch, or Python, got no memory.

    >>> is_out_of_memory(RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried ..."))
    True
    >>> is_out_of_memory(RuntimeError("shapes differ"))
    False
    """
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in _SIGNS)


def explain_out_of_memory(error: BaseException, largest_tables: list[tuple[str, int]]) -> EnvironmentError_:
    """Return the error that says what to change.

    Args:
        error: for which `is_out_of_memory` holds.
        largest_tables: names and bytes of those that this rank holds, the largest first; the first three are named.

    >>> print(explain_out_of_memory(MemoryError(), [("user_id", 3 * 10**9)]))
    out of memory; the largest tables here are user_id (3.0 GB)
      smaller tables: a budget, or the scheme hash or unified, for user_id
      on more devices: --devices, with sharding: row_wise for a table that is too large for one
      on CUDA: placement: uvm keeps rows in the host's memory; precision: fp16 halves them
      smaller batches: train.batch_size
      torch: MemoryError
    """
    named = ", ".join(f"{name} ({format_bytes(size)})" for name, size in largest_tables[:3])
    first = [f"out of memory; the largest tables here are {named}" if named else "out of memory"]
    if largest_tables:
        first.append(f"smaller tables: a budget, or the scheme hash or unified, for {largest_tables[0][0]}")
    said = (str(error).strip() or type(error).__name__).splitlines()[0]
    lines = [
        *first,
        "on more devices: --devices, with sharding: row_wise for a table that is too large for one",
        "on CUDA: placement: uvm keeps rows in the host's memory; precision: fp16 halves them",
        "smaller batches: train.batch_size",
        f"torch: {said}",
    ]
    return EnvironmentError_("\n  ".join(lines))


@contextmanager
def explaining_out_of_memory(largest_tables: Callable[[], list[tuple[str, int]]]) -> Iterator[None]:
    """Turn an error of memory that comes out of here into one that says what to change.

    Args:
        largest_tables: called when it happens; as in `explain_out_of_memory`.

    Raises:
        EnvironmentError_: there was not enough memory.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise explain_out_of_memory(error, largest_tables()) from error
