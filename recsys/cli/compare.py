"""`recsys compare-schemes`: progress of the benchmark, and how to continue after an interruption."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from recsys.cli.resumable import resumable
from recsys.config import load_config
from recsys.console import log

__all__ = ["command_line", "run_comparison"]


def run_comparison(path: Path, options: Mapping[str, Any], *, data_dir: Path, cache_dir: Path, folder: Path) -> bool:
    """Compare the schemes and return whether no training failed."""
    config = load_config(path)
    command = command_line(path, options, data_dir=data_dir, cache_dir=cache_dir, folder=folder)
    from recsys.judging.pareto import can_draw
    from recsys.scheme_benchmark.run import compare  # after the config: torch takes seconds to import

    with resumable(lambda ending: log(f"{ending}; to resume: {command}")) as on_progress:
        outcome = compare(
            config,
            **options,
            data_dir=data_dir,
            cache_dir=cache_dir,
            folder=folder,
            command=command,
            on_progress=on_progress,
            log=log,
        )
    for result in outcome.failed:
        log(f"failed: {result.cell}: {result.reason}")
    if any(result.retry for result in outcome.failed):
        log(f"to train again what was killed or ran out of memory: {command}")
    if any(not result.retry for result in outcome.failed):
        log(f"to train them again, delete their .json in {folder / 'cells'}")
    print(f"{folder}: {outcome.trained} cells trained; see report.md, results.csv{', pareto.png' * can_draw()}")
    return not outcome.failed


def command_line(path: Path, options: Mapping[str, Any], *, data_dir: Path, cache_dir: Path, folder: Path) -> str:
    """Return the command that continues a comparison.

    >>> command_line(Path("a.yaml"), {"seeds": 3}, data_dir=Path("my data"), cache_dir=Path("c"), folder=Path("f"))
    "recsys compare-schemes a.yaml --seeds 3 --data-dir 'my data' --cache-dir c --out f"
    """
    argv = ["recsys", "compare-schemes", str(path)]
    for name, value in {**options, "data-dir": data_dir, "cache-dir": cache_dir, "out": folder}.items():
        argv += [f"--{name}", str(value)]
    return shlex.join(argv)
