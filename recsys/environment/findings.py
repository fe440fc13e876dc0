"""The checks of `recsys doctor`."""

import platform
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from recsys.environment.machine import BF16_FLAGS, Machine, read_machine
from recsys.environment.probe import Probe, run_probe
from recsys.environment.versions import (
    NEWEST_PYTHON,
    OLDEST_PYTHON,
    REQUIRED_PACKAGES,
    TRIPLE_PACKAGES,
    TRIPLES,
    fitting_triple,
    has_cuda_wheel,
    install_line,
    installed_versions,
    misfit,
)

__all__ = ["Finding", "check_environment", "check_libraries", "check_machine", "check_packages", "check_python"]

_GIB = 2**30
_OLDEST, _NEWEST = (".".join(map(str, version)) for version in (OLDEST_PYTHON, NEWEST_PYTHON))
_PYTHONS = f"{_OLDEST} to {_NEWEST}"
_LITTLE_MEMORY = 4 * _GIB
_LITTLE_DISK = 10 * _GIB


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One line of the report of `recsys doctor`."""

    level: Literal["ok", "warning", "error"]
    what: str
    detail: str
    remedy: str | None = None
    """Advice that removes the problem: a line for the shell where there is one."""


def check_environment(folder: Path = Path()) -> list[Finding]:
    """Check Python, the packages, that the libraries load and compute, and the machine.

    Takes a few seconds: the libraries are imported in a process of their own.

    Args:
        folder: where runs will be written; its disk is looked at.
    """
    versions = installed_versions()
    machine = read_machine(folder)
    probe = run_probe()
    return [
        *check_python(sys.version_info[:2], machine),
        *check_packages(versions, wants_cuda=_wants_cuda(versions, probe)),
        *check_libraries(versions, probe),
        *check_machine(machine),
    ]


def check_python(python: tuple[int, ...], machine: Machine) -> Iterator[Finding]:
    """Check the interpreter and the system, for which there must be wheels."""
    ok = OLDEST_PYTHON <= python <= NEWEST_PYTHON
    yield Finding(
        level="ok" if ok else "error",
        what="python",
        detail=f"{platform.python_version() if ok else '.'.join(map(str, python))} ({sys.executable})",
        remedy=None if ok else f"create an environment with Python {_PYTHONS}: python{_NEWEST} -m venv .venv",
    )
    if machine.system != "Linux":
        yield Finding(
            level="error",
            what="system",
            detail=f"{machine.system}: torchrec and fbgemm have wheels for Linux only",
            remedy="use Linux, or a Linux container",
        )


def check_packages(versions: Mapping[str, str], *, wants_cuda: bool) -> Iterator[Finding]:
    """Check that torch, torchrec and fbgemm are one triple, and that nothing else is missing."""
    yield _check_triple(versions, wants_cuda=wants_cuda)
    missing = [name for name in REQUIRED_PACKAGES if name not in versions]
    if missing:
        yield Finding(
            level="error",
            what="packages",
            detail=f"not installed: {', '.join(missing)}",
            remedy=f"pip install {' '.join(missing)}",
        )


def _check_triple(versions: Mapping[str, str], *, wants_cuda: bool) -> Finding:
    what = "torch, torchrec, fbgemm"
    found = ", ".join(f"{name} {versions[name]}" for name in TRIPLE_PACKAGES if name in versions) or "nothing"
    problem = misfit(versions)
    if problem is None:
        return Finding(level="ok", what=what, detail=found)
    detail = f"{problem} (installed: {found})"
    return Finding(level="error", what=what, detail=detail, remedy=_reinstall(versions, wants_cuda=wants_cuda))


def check_libraries(versions: Mapping[str, str], probe: Probe) -> Iterator[Finding]:
    """Check what happened when the libraries were imported, and what devices they see."""
    if "torch" in probe.stages:
        yield _check_devices(versions, probe)
    stage = probe.failed_stage
    if stage is None:
        device = probe.stages["lookup"]["device"]
        yield Finding(level="ok", what="libraries load", detail=f"a lookup and its update ran on {device}")
        return
    what = "a tiny lookup" if stage == "lookup" else f"import {stage}"
    failure = probe.failure or "ended early"
    yield Finding(level="error", what=what, detail=failure, remedy=_remedy(failure, versions, probe))


def _check_devices(versions: Mapping[str, str], probe: Probe) -> Finding:
    facts = probe.stages["torch"]
    if facts["devices"]:
        names = ", ".join(f"{one['name']} {one['bytes'] / _GIB:.0f} GiB" for one in facts["devices"])
        detail = f"CUDA {facts['cuda_build']}: {names}"
        if has_cuda_wheel(versions):
            return Finding(level="ok", what="devices", detail=detail)
        detail += "; the CPU wheel of fbgemm cannot use them"
        return Finding(level="error", what="devices", detail=detail, remedy=_reinstall(versions, wants_cuda=True))
    if facts["cuda_build"]:
        detail = f"torch is built for CUDA {facts['cuda_build']} and sees no GPU: training runs on the CPU"
        return Finding(level="warning", what="devices", detail=detail, remedy="see whether `nvidia-smi` lists one")
    return Finding(level="ok", what="devices", detail="CPU (torch is built without CUDA)")


def _remedy(failure: str, versions: Mapping[str, str], probe: Probe) -> str:
    """Return what brings the driver or the module that is missing, or else the triple anew."""
    driver = re.search(r"lib(nvidia-ml|cuda)\.so\.\d", failure)
    if driver:
        return f"{driver[0]} comes with NVIDIA's driver; without a GPU: {_reinstall(versions, wants_cuda=False)}"
    missing = re.search(r"No module named '(\w+)", failure)
    module = missing[1].replace("_", "-") if missing else None
    if module and module not in TRIPLE_PACKAGES:
        return f"pip install {module}"
    return _reinstall(versions, wants_cuda=_wants_cuda(versions, probe))


def _reinstall(versions: Mapping[str, str], *, wants_cuda: bool) -> str:
    """Return the line for the triple of the installed torch, or for the newest one."""
    return install_line(fitting_triple(versions.get("torch", "")) or TRIPLES[0], versions, wants_cuda=wants_cuda)


def check_machine(machine: Machine) -> Iterator[Finding]:
    """Check instruction sets, memory and disk."""
    is_x86 = machine.architecture in ("x86_64", "AMD64")
    cores = f"{machine.cpu}, {machine.cores} core{'s' * (machine.cores != 1)}"
    if is_x86 and machine.cpu_flags and "avx2" not in machine.cpu_flags:
        yield Finding(level="error", what="cpu", detail=f"{cores}; no AVX2, which fbgemm needs")
    elif machine.cpu_flags & BF16_FLAGS:
        yield Finding(level="ok", what="cpu", detail=f"{cores}, computes in bf16")
    else:
        yield Finding(
            level="warning",
            what="cpu",
            detail=f"{cores}; no bf16 instructions, so that precision: bf16-mixed is slow on it",
            remedy="leave train.precision at auto",
        )
    little = 0 < machine.memory_bytes < _LITTLE_MEMORY
    yield Finding(
        level="warning" if little else "ok",
        what="memory",
        detail=f"{machine.memory_bytes / _GIB:.1f} GiB" if machine.memory_bytes else "unknown",
        remedy="expect small tables only: a row of width 16 takes 64 bytes, more in training" if little else None,
    )
    full = machine.disk_free_bytes < _LITTLE_DISK
    yield Finding(
        level="warning" if full else "ok",
        what="disk",
        detail=f"{machine.disk_free_bytes / _GIB:.1f} GiB free",
        remedy="prepared data and checkpoints need room: choose another --cache-dir" if full else None,
    )


def _wants_cuda(versions: Mapping[str, str], probe: Probe) -> bool:
    """Say whether the CUDA build belongs here: torch is one already, or the GPU wheel of fbgemm alone is installed."""
    if "torch" in probe.stages:
        return bool(probe.stages["torch"]["cuda_build"])
    if "torch" in versions:
        return "+cpu" not in versions["torch"]
    return has_cuda_wheel(versions)
