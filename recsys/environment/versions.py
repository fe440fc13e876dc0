"""Releases of torch, torchrec and fbgemm that fit together, and the pip line that installs them."""

from collections.abc import Iterable, Mapping
from importlib import metadata
from typing import NamedTuple

__all__ = [
    "EXTRA_PACKAGES",
    "FBGEMM_WHEELS",
    "NEWEST_PYTHON",
    "OLDEST_PYTHON",
    "PACKAGES",
    "REQUIRED_PACKAGES",
    "TRIPLE_PACKAGES",
    "TRIPLES",
    "Triple",
    "fitting_triple",
    "has_cuda_wheel",
    "install_line",
    "installed_versions",
    "misfit",
    "release",
]

_WHEELS = "https://download.pytorch.org/whl"


class Triple(NamedTuple):
    """Releases built for each other; with others the libraries fail to load (undefined symbols)."""

    torch: str
    torchrec: str
    fbgemm: str


TRIPLES = (
    Triple("2.13.0", "1.8.0", "1.8.0"),
    Triple("2.12.1", "1.7.0", "1.7.0"),
    Triple("2.11.0", "1.6.0", "1.6.0"),
)
"""Newest first; the first is the one `recsys` is tested with."""

FBGEMM_WHEELS = ("fbgemm-gpu", "fbgemm-gpu-cpu")
TRIPLE_PACKAGES = ("torch", "torchrec", *FBGEMM_WHEELS)
REQUIRED_PACKAGES = (
    "lightning",
    "numpy",
    "polars",
    "polars-hash",
    "pyarrow",
    "pydantic",
    "rich",
    "ruamel.yaml",
    "typer",
)
EXTRA_PACKAGES = ("matplotlib", "tensorboard")
PACKAGES = (*TRIPLE_PACKAGES, *REQUIRED_PACKAGES, *EXTRA_PACKAGES)

OLDEST_PYTHON, NEWEST_PYTHON = (3, 11), (3, 14)
"""torch, torchrec, fbgemm and polars-hash have wheels for these and what lies between."""


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


def has_cuda_wheel(versions: Mapping[str, str]) -> bool:
    """Say whether fbgemm can use a GPU; PyTorch's own index calls its CPU wheel fbgemm-gpu 1.8.0+cpu."""
    return not versions.get("fbgemm-gpu", "+cpu").endswith("+cpu")


def misfit(versions: Mapping[str, str]) -> str | None:
    """Say the first thing that is wrong with torch, fbgemm and torchrec; None when they fit."""
    if "torch" not in versions:
        return "torch is missing"
    triple = fitting_triple(versions["torch"])
    if triple is None:
        return f"torch {versions['torch']} is in none of the triples known to fit"
    wheels = [name for name in FBGEMM_WHEELS if name in versions]
    if len(wheels) == 2:
        return "both fbgemm wheels are installed and overwrite each other's files"
    for name, expected in ((wheels[0] if wheels else "fbgemm", triple.fbgemm), ("torchrec", triple.torchrec)):
        if name not in versions:
            return f"{name} is missing"
        if release(versions[name]) != release(expected):
            return f"torch {triple.torch} needs {name} {expected}, not {versions[name]}"
    if versions["torch"].endswith("+cpu") and has_cuda_wheel(versions):
        return "fbgemm-gpu is built for CUDA and torch is not"
    return None


def install_line(triple: Triple, versions: Mapping[str, str], *, wants_cuda: bool) -> str:
    """Return the shell line that brings the installed packages to this triple.

    torchrec comes without its dependencies, for its metadata demands the CUDA wheel of fbgemm and torchmetrics 1.0.3.
    """
    unwanted = [name for name in FBGEMM_WHEELS if name in versions]
    steps = [f"pip uninstall -y {' '.join(unwanted)}"] if unwanted else []
    if wants_cuda:
        build = versions.get("torch", "").partition("+")[2]
        index = f" --index-url {_WHEELS}/{build}" if build.startswith("cu") else ""
        steps.append(f"pip install torch=={triple.torch} fbgemm-gpu=={triple.fbgemm}{index}")
    else:
        steps.append(f"pip install torch=={triple.torch} --index-url {_WHEELS}/cpu")
        steps.append(f"pip install fbgemm-gpu-cpu=={triple.fbgemm}")
    steps.append(f"pip install --no-deps torchrec=={triple.torchrec}")
    steps.append("pip install pyre-extensions tensordict torchmetrics tqdm")
    return " && ".join(steps)
