"""The command line, called as `python -m recsys` calls it, but in this process."""

import math
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from recsys.cli import main, progress


class Ended(NamedTuple):
    code: int
    out: str
    err: str


Recsys = Callable[..., Ended]


@pytest.fixture
def recsys(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Recsys:
    """Run one command; whatever ends otherwise than by an exit code is a failure of the test.

    Lines of progress, which only a slow machine would print, are left out.
    """
    monkeypatch.setattr(progress, "LOG_SECONDS", math.inf)

    def call(*arguments: str | Path) -> Ended:
        monkeypatch.setattr(sys, "argv", ["recsys", *map(str, arguments)])
        capfd.readouterr()
        code = 0
        with warnings.catch_warnings():
            try:
                main()
            except SystemExit as stop:
                code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
        return Ended(code, *capfd.readouterr())

    return call


@pytest.fixture
def refused(recsys: Recsys) -> Callable[..., str]:
    """Run a command that the user must mend: exit code 2, nothing on stdout, one message and no traceback."""

    def call(*arguments: str | Path) -> str:
        ended = recsys(*arguments)
        assert ended.code == 2
        assert ended.out == ""
        assert "Traceback" not in ended.err
        messages = [line for line in ended.err.splitlines() if line.startswith("error: ")]
        assert len(messages) == 1
        return ended.err[ended.err.index("error: ") :].removeprefix("error: ").rstrip("\n")

    return call
