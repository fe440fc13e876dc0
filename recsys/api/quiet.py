"""Warnings of the packages below us, which are for their authors."""

import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["hide_package_warnings", "quiet_packages"]


def hide_package_warnings() -> None:
    """Ignore warnings that torch, torchrec, FBGEMM and Lightning raise; `python -W default` keeps them."""
    if sys.warnoptions:
        return
    for package in ("torch", "torchrec", "fbgemm_gpu", "lightning"):
        warnings.filterwarnings("ignore", module=rf"{package}(\.|$)")
    logging.getLogger("torchrec").setLevel(logging.ERROR)  # how it has formed its groups
    logging.getLogger().addFilter(_is_no_load_failure)
    logging.getLogger("torch.fx._symbolic_trace").setLevel(logging.ERROR)  # torchrec calls what torch has renamed


@contextmanager
def quiet_packages() -> Iterator[None]:
    """Ignore their warnings inside the block, and leave the filters as they were."""
    with warnings.catch_warnings():
        hide_package_warnings()
        yield


def _is_no_load_failure(record: logging.LogRecord) -> bool:
    """Drop the page that fbgemm logs before it raises the error that says the same."""
    return record.levelno < logging.ERROR or "fbgemm_gpu" not in record.pathname
