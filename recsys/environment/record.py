"""The environment.json of a run: versions, machine, GPUs and source commit."""

import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

from recsys import __version__
from recsys.environment.machine import read_machine
from recsys.environment.versions import installed_versions

__all__ = ["environment_record"]


def environment_record(folder: Path = Path()) -> dict[str, Any]:
    """Return versions, machine and source commit, ready for JSON.

    Args:
        folder: whose git commit is written down, usually that of the configuration.

    GPUs are listed when torch has been imported already; this function does not import it.
    """
    machine = read_machine(folder)
    return {
        "recsys": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": installed_versions(),
        "cpu": {"model": machine.cpu, "cores": machine.cores, "memory_bytes": machine.memory_bytes},
        "gpus": _gpus(),
        "git": _git(folder),
    }


def _gpus() -> list[str]:
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return []
    return [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]


def _git(folder: Path) -> dict[str, Any] | None:
    """Return the commit and whether tracked files differ from it; None outside a repository."""
    commit = _run_git(folder, "rev-parse", "HEAD")
    if commit is None:
        return None
    changed = _run_git(folder, "status", "--porcelain", "--untracked-files=no")
    return {"commit": commit, "has_changes": bool(changed)}


def _run_git(folder: Path, *arguments: str) -> str | None:
    command = ["git", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10.0, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
