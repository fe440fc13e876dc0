"""Cores, memory, disk and instruction sets, from the standard library and /proc."""

import os
import platform
import shutil
from pathlib import Path
from typing import NamedTuple

__all__ = ["BF16_FLAGS", "Machine", "read_cpu_flags", "read_machine"]

BF16_FLAGS = frozenset({"avx512_bf16", "amx_bf16", "bf16"})
"""Instruction sets of CPUs that compute in bfloat16; the last one is ARM's."""

_CPU_INFO = Path("/proc/cpuinfo")
_MEMORY_INFO = Path("/proc/meminfo")
_MEMORY_LIMIT = Path("/sys/fs/cgroup/memory.max")


class Machine(NamedTuple):
    """The processor, memory and disk that this process can use."""

    system: str
    architecture: str
    cpu: str
    cpu_flags: frozenset[str]
    cores: int
    """Number of cores that this process may run on."""
    memory_bytes: int
    """Memory of the machine, or the limit of the container if that is less; 0 when unknown."""
    disk_free_bytes: int


def read_machine(folder: Path) -> Machine:
    """Describe the machine, and the disk that holds `folder`."""
    info = _read_pairs(_CPU_INFO)
    return Machine(
        system=platform.system(),
        architecture=platform.machine(),
        cpu=info.get("model name", platform.processor() or platform.machine()),
        cpu_flags=read_cpu_flags(),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        memory_bytes=_memory_bytes(),
        disk_free_bytes=shutil.disk_usage(folder).free,
    )


def read_cpu_flags() -> frozenset[str]:
    """Return the names of the CPU's instruction sets; none where /proc/cpuinfo does not tell."""
    info = _read_pairs(_CPU_INFO)
    return frozenset(info.get("flags", info.get("Features", "")).split())


def _memory_bytes() -> int:
    words = _read_pairs(_MEMORY_INFO).get("MemTotal", "0 kB").split()
    total = int(words[0]) * 1024
    limit = _read(_MEMORY_LIMIT).strip()
    return min(total, int(limit)) if limit.isdigit() else total


def _read_pairs(path: Path) -> dict[str, str]:
    """Return the first value of each `key : value` line."""
    pairs: dict[str, str] = {}
    for line in _read(path).splitlines():
        key, colon, value = line.partition(":")
        if colon:
            pairs.setdefault(key.strip(), value.strip())
    return pairs


def _read(path: Path) -> str:
    """Return the text of a file that other systems do not have."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""
