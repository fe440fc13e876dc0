"""Which releases of torch, torchrec and fbgemm fit together, and the pip line that installs them."""

import shlex
from collections.abc import Iterable, Mapping
from importlib import metadata
from typing import NamedTuple

__all__ = ["PACKAGES", "TRIPLES", "Triple", "fitting_triple", "install_line", "installed_versions", "release"]


class Triple(NamedTuple):
    """Releases built for each other; with others the libraries fail to load (undefined symbols)."""

    torch: str
    torchrec: str
    fbgemm: str

    def __str__(self) -> str:
        return f"torch {self.torch}, torchrec {self.torchrec}, fbgemm-gpu {self.fbgemm}"


TRIPLES = (
    Triple("2.13.0", "1.8.0", "1.8.0"),
    Triple("2.12.1", "1.7.0", "1.7.0"),
    Triple("2.11.0", "1.6.0", "1.6.0"),
)
"""Newest first; the first is the one `recsys` is tested with."""

_TRIPLE_PACKAGES = ("torch", "torchrec", "fbgemm-gpu", "fbgemm-gpu-cpu")
_OTHERS = ("lightning", "matplotlib", "numpy", "polars", "polars-hash", "pyarrow", "pydantic", "rich", "ruamel.yaml")
PACKAGES = (*_TRIPLE_PACKAGES, *_OTHERS, "tensorboard", "typer")


def installed_versions(packages: Iterable[str] = PACKAGES) -> dict[str, str]:
    """Return the version of each package that is installed."""
    found = {}
    for name in packages:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def release(version: str) -> tuple[int, ...]:
    """Return major and minor: patches of one release fit each other.

    Example:
        >>> release("2.13.0+cpu")
        (2, 13)
    """
    return tuple(int("".join(filter(str.isdigit, part)) or 0) for part in version.split("+")[0].split(".")[:2])


def fitting_triple(torch: str) -> Triple | None:
    """Return the triple of this version of torch, or None if it is in no known one."""
    return next((triple for triple in TRIPLES if release(triple.torch) == release(torch)), None)


def install_line(triple: Triple, versions: Mapping[str, str], *, wants_cuda: bool) -> str:
    """Return the shell line that brings the installed packages to this triple.

    torchrec comes without its dependencies, for its metadata demands the CUDA wheel of fbgemm and torchmetrics 1.0.3.
    """
    fbgemm = "fbgemm-gpu" if wants_cuda else "fbgemm-gpu-cpu"
    unwanted = [name for name in ("fbgemm-gpu", "fbgemm-gpu-cpu") if name in versions]
    index = f" --index-url https://download.pytorch.org/whl/{_build(versions, wants_cuda=wants_cuda)}"
    steps = [f"pip uninstall -y {shlex.join(unwanted)}"] if unwanted else []
    steps.append(f"pip install torch=={triple.torch} {fbgemm}=={triple.fbgemm}{index}")
    steps.append(f"pip install --no-deps torchrec=={triple.torchrec}")
    steps.append("pip install pyre-extensions tensordict torchmetrics tqdm")
    return " && ".join(steps)


def _build(versions: Mapping[str, str], *, wants_cuda: bool) -> str:
    """Return the folder of wheels: that of the installed CUDA build if there is one."""
    if not wants_cuda:
        return "cpu"
    local = versions.get("torch", "").partition("+")[2]
    return local if local.startswith("cu") else "cu126"
