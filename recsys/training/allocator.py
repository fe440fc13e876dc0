"""Keeping the memory of large temporaries between steps on a CPU."""

import ctypes
import sys

__all__ = ["keep_large_blocks"]

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_BLOCK_BYTES = 1 << 30


def keep_large_blocks() -> bool:
    """Tell glibc not to hand blocks of up to 1 GiB back to the system; return whether it listened.

    By default it returns and zeroes every large temporary at every step. Measured on AutoInt (39 fields, 3 layers of
    2 x 32, batch 2048, one thread, forward and backward): 0.72 s a step against 0.83 s.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # other C libraries have none
    if mallopt is None:
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, _BLOCK_BYTES) and mallopt(_M_TRIM_THRESHOLD, _BLOCK_BYTES))
