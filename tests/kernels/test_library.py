import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from recsys.kernels.library import SWITCH, InstructionSet, Kernels, find_kernels, instruction_sets, open_library
from tests.kernels.plain import needs_kernels

NO_FLAGS = InstructionSet("any", 8, frozenset(), ())

Compiler = Callable[[str], Path]


@pytest.fixture
def compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Compiler:
    """Make a shell script the compiler; it notes each call in `calls`."""

    def write(script: str) -> Path:
        path = tmp_path / "compiler"
        path.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path / "calls"}\n{script}\n')
        path.chmod(0o755)
        monkeypatch.setenv("CC", str(path))
        return tmp_path / "calls"

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    return write


def found_anew() -> Kernels:
    return find_kernels.__wrapped__()


def copying(seconds: float = 0.0) -> str:
    """Return the script of a compiler that gives out the library of this machine, made before."""
    library = find_kernels().library
    assert library is not None
    return f'sleep {seconds}\nwhile [ "$1" != -o ]; do shift; done\ncp {library._name} "$2"'


@needs_kernels
def test_the_library_is_compiled_once(compiler: Compiler, tmp_path: Path) -> None:
    calls = compiler(copying())
    for _ in range(2):
        assert found_anew().library is not None
    assert len(calls.read_text().splitlines()) == 1
    assert [path.suffix for path in (tmp_path / "home/recsys/kernels").iterdir()] == [".so"]


@needs_kernels
@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[:1000],
        lambda content: content[:-1],
        lambda content: content[:5000] + bytes([content[5000] ^ 1]) + content[5001:],
        lambda content: content + b"\n",
    ],
    ids=["empty", "cut off", "a byte short", "a flipped bit", "a byte more"],
)
def test_a_damaged_library_is_compiled_anew(
    compiler: Compiler, tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    calls = compiler(copying())
    open_library(NO_FLAGS, tmp_path / "kept")
    (path,) = (tmp_path / "kept").iterdir()
    whole = path.read_bytes()
    path.unlink()  # this process has it in memory
    path.write_bytes(damage(whole))
    open_library(NO_FLAGS, tmp_path / "kept")
    assert len(calls.read_text().splitlines()) == 2
    assert path.read_bytes() == whole


@needs_kernels
@pytest.mark.slow
def test_processes_that_compile_at_once_do_not_disturb_each_other(compiler: Compiler, tmp_path: Path) -> None:
    calls = compiler(copying(seconds=1.0))
    code = "from recsys.kernels.library import find_kernels; assert find_kernels().library, find_kernels().detail"
    started = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(3)]
    assert [process.wait(timeout=60) for process in started] == [0, 0, 0]
    assert len(calls.read_text().splitlines()) > 1
    assert len(list((tmp_path / "home/recsys/kernels").iterdir())) == 1


@pytest.mark.parametrize(
    ("script", "reason"),
    [("echo no such flag >&2; exit 1", "no such flag"), ("exit 3", "no message"), ("kill $$", "no message")],
)
def test_where_the_compiler_fails_torch_does_the_work(compiler: Compiler, script: str, reason: str) -> None:
    compiler(script)
    found = found_anew()
    assert found.library is None
    assert reason in found.detail


def test_without_compiler_torch_does_the_work(compiler: Compiler, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "/nowhere/cc")
    assert found_anew() == Kernels(None, 0, "there is no C compiler (/nowhere/cc)")
    monkeypatch.delenv("CC")
    monkeypatch.setenv("PATH", "/nowhere")
    assert found_anew() == Kernels(None, 0, "there is no C compiler (cc, gcc, clang)")


def test_without_a_folder_to_write_to_torch_does_the_work(
    compiler: Compiler, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiler("exit 0")
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    found = found_anew()
    assert found.library is None
    assert str(tmp_path / "file") in found.detail


def test_what_a_compiler_writes_that_is_no_library_is_not_used(compiler: Compiler) -> None:
    compiler('while [ "$1" != -o ]; do shift; done\necho text > "$2"')
    assert found_anew().library is None


def test_the_switch_does_without_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SWITCH, "0")
    assert found_anew() == Kernels(None, 0, "RECSYS_KERNELS is 0")


@pytest.mark.parametrize(
    ("architecture", "flags", "names"),
    [
        ("x86_64", "sse2 avx2 fma avx512f avx512bw avx512dq avx512vl", ["AVX-512", "AVX2"]),
        ("x86_64", "sse2 avx2 fma avx512f", ["AVX2"]),
        ("x86_64", "sse2 avx", []),
        ("aarch64", "fp asimd", ["NEON"]),
        ("riscv64", "", []),
    ],
)
def test_the_widest_instruction_set_of_the_cpu_comes_first(architecture: str, flags: str, names: list[str]) -> None:
    assert [found.name for found in instruction_sets(architecture, set(flags.split()))] == names
