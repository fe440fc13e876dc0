"""Scores of files appear whole or not at all."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest

from tests.serving.bundles import ROWS, bundle, made

__all__ = ["bundle", "made"]

pytestmark = pytest.mark.slow


def size_of(folder: Path) -> int:
    """Return the bytes of what is being written."""
    return sum(path.stat().st_size for path in folder.glob(".*/new"))


def test_sigterm_in_the_middle_leaves_nothing_but_the_former_scores(bundle: Path, tmp_path: Path) -> None:
    pl.concat([ROWS] * 30_000).write_parquet(tmp_path / "rows.parquet")
    out = tmp_path / "scores" / "scores.parquet"
    out.parent.mkdir()
    out.write_text("former")
    names = [str(bundle), str(tmp_path / "rows.parquet"), "--out", str(out)]
    command = [sys.executable, "-m", "recsys", "predict", *names]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 60
        while size_of(out.parent) < 1000 and time.monotonic() < deadline:
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == -signal.SIGTERM
        assert "Traceback" not in process.stderr.read()  # type: ignore[union-attr]
    assert [path.name for path in out.parent.iterdir()] == ["scores.parquet"]
    assert out.read_text() == "former"
