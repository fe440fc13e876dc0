"""The shared library of kernels: compiled by the machine's C compiler on first use, kept in the user's cache folder.

A file is named by what it is made of: the source, the flags, the instruction set. It ends with a checksum of itself,
and is renamed into place when it is complete, so that several processes may make it at once. Where there is no
compiler, no folder to write to, or a CPU that the flags do not fit, there is no library, and torch does the work.
"""

import ctypes
import functools
import os
import platform
import shutil
import subprocess
from collections.abc import Set
from pathlib import Path
from typing import NamedTuple

from recsys.checksums import checksum
from recsys.environment.machine import read_cpu_flags
from recsys.files import atomic_path

__all__ = ["SWITCH", "InstructionSet", "Kernels", "find_kernels", "instruction_sets", "open_library"]

SWITCH = "RECSYS_KERNELS"
"""Environment variable that does without native kernels if it is 0."""
COMPILERS = ("cc", "gcc", "clang")
FLAGS = ("-std=gnu11", "-O3", "-ffp-contract=fast", "-fno-math-errno", "-fPIC", "-shared", "-pthread")

_SOURCE = Path(__file__).parent / "source"
_CHECKSUM_BYTES = len(checksum(b""))
_COMPILE_SECONDS = 120


class InstructionSet(NamedTuple):
    """A form of the library that only some CPUs can run."""

    name: str
    lanes: int
    """Numbers that an instruction works on; the kernels pad rows to so many."""
    needs: frozenset[str]
    """Names of /proc/cpuinfo."""
    flags: tuple[str, ...]
    """Flags of the compiler."""


_AVX512 = ("avx512f", "avx512bw", "avx512dq", "avx512vl")
_INSTRUCTION_SETS = {
    "x86_64": [
        InstructionSet("AVX-512", 16, frozenset((*_AVX512, "fma")), tuple(f"-m{name}" for name in (*_AVX512, "fma"))),
        InstructionSet("AVX2", 8, frozenset(("avx2", "fma")), ("-mavx2", "-mfma")),
    ],
    "aarch64": [InstructionSet("NEON", 8, frozenset(("asimd",)), ())],
}


class Kernels(NamedTuple):
    """The kernels of this process, and why they are what they are."""

    library: ctypes.CDLL | None
    """None where torch does the work."""
    lanes: int
    detail: str
    """The instruction set and the folder, or the reason why there are none."""


@functools.cache
def find_kernels() -> Kernels:
    """Return the kernels of this machine; compiles them, which takes a second or two, if no process has yet."""
    if os.environ.get(SWITCH) == "0":
        return Kernels(None, 0, f"{SWITCH} is 0")
    chosen = next(iter(instruction_sets(platform.machine(), read_cpu_flags())), None)
    if chosen is None:
        return Kernels(None, 0, f"there are none for this CPU ({platform.machine()} without AVX2 or NEON)")
    try:
        return Kernels(open_library(chosen, _cache_folder()), chosen.lanes, f"{chosen.name}, in {_cache_folder()}")
    except (OSError, subprocess.SubprocessError) as error:
        return Kernels(None, 0, str(error))


def instruction_sets(architecture: str, cpu_flags: Set[str]) -> list[InstructionSet]:
    """Return the instruction sets that a CPU has and the kernels are written for, the widest first.

    >>> [found.name for found in instruction_sets("x86_64", {"avx2", "fma", "sse2"})]
    ['AVX2']
    """
    return [found for found in _INSTRUCTION_SETS.get(architecture, []) if found.needs <= cpu_flags]


def open_library(chosen: InstructionSet, folder: Path) -> ctypes.CDLL:
    """Load the library from a folder; it is compiled if it is not there, or damaged.

    Raises:
        OSError: There is no compiler, the folder cannot be written, or the file cannot be loaded.
        subprocess.SubprocessError: The compiler failed.
    """
    path = folder / _file_name(chosen)
    if not _is_whole(path):
        _compile(chosen, path)
    return ctypes.CDLL(str(path))


def _cache_folder() -> Path:
    try:
        home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError as error:  # a user without a home
        raise OSError(str(error)) from error
    return home / "recsys" / "kernels"


def _file_name(chosen: InstructionSet) -> str:
    parts = [path.read_bytes() for path in sorted(_SOURCE.iterdir()) if path.suffix in (".c", ".h")]
    return f"{chosen.name.lower()}-{checksum(b''.join([*parts, ' '.join(_flags(chosen)).encode()]))}.so"


def _flags(chosen: InstructionSet) -> tuple[str, ...]:
    return (*FLAGS, *chosen.flags)


def _is_whole(path: Path) -> bool:
    """Return whether a file is there and ends with the checksum of what stands before it."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return False
    return content[-_CHECKSUM_BYTES:] == checksum(content[:-_CHECKSUM_BYTES]).encode()


def _compile(chosen: InstructionSet, path: Path) -> None:
    compiler = _find_compiler()
    sources = [str(source) for source in sorted(_SOURCE.glob("*.c"))]
    with atomic_path(path) as temporary:
        command = [compiler, *_flags(chosen), "-o", str(temporary), *sources]
        done = subprocess.run(command, capture_output=True, text=True, timeout=_COMPILE_SECONDS, check=False)
        if done.returncode:
            raise OSError(f"{compiler} cannot compile them: {(done.stderr.splitlines() or ['no message'])[0]}")
        content = temporary.read_bytes()
        temporary.write_bytes(content + checksum(content).encode())


def _find_compiler() -> str:
    names = [os.environ["CC"]] if os.environ.get("CC") else COMPILERS
    found = next((path for name in names if (path := shutil.which(name))), None)
    if found is None:
        raise FileNotFoundError(f"there is no C compiler ({', '.join(names)})")
    return found
