"""Make the virtual environment of a checkout: `make` calls it.

Locked packages first, then recsys itself, and at the end `recsys doctor`, whose failure is that of set-up. torch comes
from the indexes that pip is configured for, and from PyTorch's own only where they have no CPU build. uv installs the
other packages, several times faster than pip, which takes over where uv is missing or fails.
"""

from __future__ import annotations  # an older Python, too, shall come to the message that it is too old

import argparse
import ast
import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parents[1]
UV = "uv==0.13.9"


def main() -> None:
    """Set up what the arguments say."""
    parser = argparse.ArgumentParser(description="Make the virtual environment of a checkout.")
    parser.add_argument("--venv", type=Path, default=ROOT / ".venv")
    parser.add_argument("--build", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--cpu-index", default="https://download.pytorch.org/whl/cpu")
    parser.add_argument("--dev", action="store_true", help="add to it what `make test` and `make check` need")
    arguments = parser.parse_args()
    python = arguments.venv.resolve() / "bin" / "python"
    if arguments.dev:
        install(python, "-r", ".ci/requirements-dev.txt")
        return
    lock = f".ci/requirements-{arguments.build}.txt"
    check_python()
    make_venv(arguments.venv)
    install_torch(python, pin_of("torch", lock), arguments.cpu_index)
    pip(python, UV)
    install(python, "-r", lock)
    install(python, "--no-build-isolation", "--editable", ".")
    step("recsys doctor")
    sys.exit(subprocess.call([python.with_name("recsys"), "doctor"]))


def check_python() -> None:
    """Refuse an interpreter for which there are no wheels."""
    bounds = re.search(r'requires-python = ">=3\.(\d+),<3\.(\d+)"', (ROOT / "pyproject.toml").read_text())
    assert bounds, "pyproject.toml has no requires-python of the form >=3.A,<3.B"
    first, beyond = map(int, bounds.groups())
    if not (3, first) <= sys.version_info < (3, beyond):
        found = f"{sys.executable} is {python_version()}"
        stop(f"recsys needs Python 3.{first} to 3.{beyond - 1}, {found}; name another: make PYTHON=python3.{first}")


def python_version() -> str:
    """Return major and minor of the interpreter."""
    return "{}.{}".format(*sys.version_info)


def make_venv(venv: Path) -> None:
    """Create the environment; anew if there is half of one, or one of another Python."""
    if not (venv / "lib" / f"python{python_version()}" / "site-packages" / "pip" / "__main__.py").exists():
        step(f"{venv.name} of Python {python_version()}")
        run([sys.executable, "-m", "venv", "--clear", venv])


def pin_of(package: str, lock: str) -> str:
    """Return the line of a lock file that names this package, without its comment."""
    lines = (ROOT / lock).read_text().splitlines()
    return next(line.split()[0] for line in lines if line.startswith(f"{package}=="))


def install_torch(python: Path, pin: str, cpu_index: str) -> None:
    """Install torch from the indexes that pip is configured for, or else from PyTorch's index of CPU builds."""
    step(f"install {pin}")
    done = pip(python, "--no-deps", pin)
    if done.returncode and pin.endswith("+cpu"):
        step(f"the configured indexes do not have it, {cpu_index} is asked")
        done = pip(python, "--no-deps", "--index-url", cpu_index, pin)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        remedy = "make CPU_INDEX=URL" if pin.endswith("+cpu") else "PIP_INDEX_URL"
        stop(f"no index has {pin} for Python {python_version()}; name one that has by {remedy} ({reason})")


def install(python: Path, *what: str) -> None:
    """Install with uv where it works, or else with pip."""
    step(f"install {what[-1]}")
    uv = python.with_name("uv")
    if uv.exists():
        options = ["--quiet", "--system-certs", "--no-deps", *indexes(python)]
        if not run([uv, "pip", "install", "--python", python, *options, *what], check=False).returncode:
            return
    done = pip(python, "--no-deps", *what)
    if done.returncode:
        stop(done.stderr.strip())


def indexes(python: Path) -> list[str]:
    """Return the options that make uv look where pip is configured to look."""
    options = {
        "index-url": "--default-index",
        "extra-index-url": "--index",
        "find-links": "--find-links",
        "trusted-host": "--allow-insecure-host",
    }
    found: dict[str, str] = {}
    listed = run([python, "-m", "pip", "config", "list"]).stdout
    for key, value in re.findall(r"^(\S+?)=(.*)$", listed, flags=re.MULTILINE):
        name = key.rpartition(".")[2]
        if key.startswith(":env:") or name not in found:
            found[name] = ast.literal_eval(value)
    words = [(options[name], word) for name, value in found.items() if name in options for word in value.split()]
    return ["--index-strategy", "unsafe-best-match", *(part for pair in words for part in pair)]


def pip(python: Path, *what: str) -> subprocess.CompletedProcess[str]:
    """Install with pip, without compiling every module ahead, which takes longer than all the rest."""
    return run([python, "-m", "pip", "install", "-qq", "--no-compile", *what], check=False)


def run(command: Sequence[str | Path], check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run a command in the checkout and keep what it prints, which ends set-up if the command fails."""
    environment = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment)
    if check and done.returncode:
        stop((done.stderr or done.stdout).strip())
    return done


START = time.monotonic()


def step(what: str) -> None:
    """Say what comes next, after so many seconds."""
    print(f"set-up {time.monotonic() - START:5.1f} s: {what}", flush=True)


def stop(message: str) -> NoReturn:
    """End with one message."""
    sys.exit(f"set-up: {message}")


if __name__ == "__main__":
    main()
