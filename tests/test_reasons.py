import errno
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from recsys.errors import DataError
from recsys.reasons import as_os_error, user_message


def test_an_error_of_ours_is_its_message() -> None:
    assert user_message(DataError("here: rule, value")) == "here: rule, value"


@pytest.mark.parametrize("error", [ValueError("x"), ConnectionResetError(104, "reset"), RuntimeError("os error 28")])
def test_a_fault_of_the_program_has_no_message(error: Exception) -> None:
    assert user_message(error) is None


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.EROFS, "; it is mounted read-only"),
        (errno.EACCES, ""),
        (errno.EDQUOT, "; the quota is used up"),
        (errno.EMFILE, "; raise the limit of open files with `ulimit -n`"),
        (errno.ENAMETOOLONG, "; a name can have 255 bytes, a path 4,095"),
        (errno.EPIPE, ""),
    ],
)
@pytest.mark.parametrize("path", [None, "runs/a"])
def test_what_the_system_refuses_is_said_in_its_words_with_the_path_and_a_remedy(
    number: int, remedy: str, path: str | None
) -> None:
    said = f"cannot be read or written: {os.strerror(number)}{remedy}"
    assert user_message(OSError(number, os.strerror(number), path)) == (f"{path}: {said}" if path else said)


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.EMFILE, "Too many open files"),
        RuntimeError("[enforce fail at gloo/transport/tcp/loop.cc:48] rv != -1. -1 vs -1. pipe: Too many open files"),
        ImportError("/lib/libtorch.so: cannot open shared object file: Too many open files", name="torch"),
    ],
)
def test_too_many_open_files_are_no_broken_installation(error: Exception) -> None:
    message = user_message(error)
    assert message is not None
    assert message.endswith("Too many open files; raise the limit of open files with `ulimit -n`")


def test_a_full_disk_says_how_full_it_is(tmp_path: Path) -> None:
    message = user_message(OSError(errno.ENOSPC, "No space left on device", str(tmp_path / "new" / "file")))
    assert message is not None
    assert message.startswith(f"{tmp_path}/new/file: cannot be read or written: No space left on device; of the ")
    assert message.endswith(" are free")


def test_numpys_words_for_a_full_disk_are_known() -> None:
    with Path("/dev/full").open("wb", buffering=0) as full, pytest.raises(OSError, match=r"written|space") as refused:
        np.save(full, np.zeros(100_000))
    found = as_os_error(refused.value)
    assert found is not None
    assert found.errno == errno.ENOSPC


def test_torchs_words_for_a_full_disk_are_known() -> None:
    with Path("/dev/full").open("wb", buffering=0) as full, pytest.raises((RuntimeError, OSError)) as refused:
        torch.save({"a": torch.zeros(100_000)}, full)
    found = as_os_error(refused.value)
    assert found is not None
    assert found.errno == errno.ENOSPC
