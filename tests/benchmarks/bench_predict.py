"""Rows per CPU second and memory of `recsys predict` on many rows, and what a kill in the middle leaves.

Run: python -m tests.benchmarks.bench_predict BUNDLE FILE [rows, 5 million when not given]

FILE holds raw rows for the bundle in parquet; they are repeated.
"""

import resource
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import polars as pl

SECONDS = 0.5
"""Between two looks at the memory."""


def repeat(file: Path, target: Path, rows: int) -> None:
    """Write the rows of a file over and over."""
    frame = pl.read_parquet(file)
    pl.concat([frame] * -(-rows // frame.height)).head(rows).write_parquet(target, row_group_size=2**17)


def memory_of(process: "subprocess.Popen[bytes]") -> int:
    """Return the memory of a process that is its own, in MB."""
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return next((int(line.split()[1]) // 1000 for line in lines if line.startswith("RssAnon")), 0)


def start(bundle: Path, data: Path, out: Path) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-m", "recsys", "predict", bundle, data, "--out", out])


def main(bundle: Path, file: Path, rows: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        data, out = Path(name) / "rows.parquet", Path(name) / "scores" / "scores.parquet"
        out.parent.mkdir()
        repeat(file, data, rows)
        seen: list[int] = []
        began, process = time.monotonic(), start(bundle, data, out)
        while process.poll() is None:
            seen.append(memory_of(process))
            time.sleep(SECONDS)
        wall, used = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = used.ru_utime + used.ru_stime
        assert process.returncode == 0
        assert pl.scan_parquet(out).select(pl.len()).collect().item() == rows
        print(f"{rows:,} rows: {wall:.0f} s, {cpu:.0f} CPU s, {rows / cpu:,.0f} rows per CPU second")
        fifths = [max(seen[i * len(seen) // 5 : (i + 1) * len(seen) // 5] or [0]) for i in range(5)]
        print("most memory in each fifth of the time, MB:", *fifths)
        out.unlink()
        process = start(bundle, data, out)
        time.sleep(wall / 2)
        process.send_signal(signal.SIGTERM)
        code = process.wait()
        print(f"SIGTERM in the middle: exit code {code}, left: {[path.name for path in out.parent.iterdir()]}")
        process = start(bundle, data, out)
        time.sleep(wall / 2)
        process.kill()
        process.wait()
        left = sorted(path.name for path in out.parent.iterdir())
        print(f"SIGKILL in the middle: {out.name} is {'there' if out.exists() else 'not there'}, left: {left}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 5_000_000)
