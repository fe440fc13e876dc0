"""The finding of `recsys doctor` on the kernels."""

from recsys.environment import Finding
from recsys.kernels.library import find_kernels

__all__ = ["check_kernels"]


def check_kernels() -> Finding:
    """Say which kernels are used on a CPU; they are compiled if they have not been."""
    found = find_kernels()
    if found.library is not None:
        return Finding(level="ok", what="kernels", detail=found.detail)
    return Finding(
        level="warning",
        what="kernels",
        detail=f"those of torch alone: {found.detail}",
        remedy="with a C compiler (gcc or clang) AutoInt, DIN and MLPs with batch_norm train faster on a CPU",
    )
