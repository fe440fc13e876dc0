"""`recsys compare-schemes`: shows how many trainings are done, and says how to go on when it ends early."""

import shlex
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from recsys.cli.progress import console, progress_reports
from recsys.config import load_config

__all__ = ["command_line", "run_comparison"]


def run_comparison(path: Path, options: Mapping[str, Any], *, data_dir: Path, cache_dir: Path, folder: Path) -> bool:
    """Compare the schemes and return whether no training failed."""
    config = load_config(path)
    command = command_line(path, options, data_dir=data_dir, cache_dir=cache_dir, folder=folder)
    from recsys.scheme_benchmark.plot import can_draw
    from recsys.scheme_benchmark.run import compare  # after the config: torch takes seconds to import

    try:
        with progress_reports() as preparing, cell_reports() as on_progress:
            outcome = compare(
                config,
                **options,
                data_dir=data_dir,
                cache_dir=cache_dir,
                folder=folder,
                command=command,
                preparing=preparing,
                told=on_progress,
                say=lambda line: console.print(line, markup=False),
            )
    except KeyboardInterrupt:
        console.print(f"interrupted; to go on: {command}", markup=False)
        raise
    for result in outcome.failed:
        console.print(f"failed: {result.cell}: {result.reason}", markup=False)
    if outcome.failed:
        console.print(f"to train them again, delete their .json in {folder / 'cells'}", markup=False)
    print(f"{folder}: {outcome.trained} cells trained; see report.md, results.csv{', pareto.png' * can_draw()}")
    return not outcome.failed


def command_line(path: Path, options: Mapping[str, Any], *, data_dir: Path, cache_dir: Path, folder: Path) -> str:
    """Return the command that goes on with a comparison.

    >>> command_line(Path("a.yaml"), {"seeds": 3}, data_dir=Path("my data"), cache_dir=Path("c"), folder=Path("f"))
    "recsys compare-schemes a.yaml --seeds 3 --data-dir 'my data' --cache-dir c --out f"
    """
    argv = ["recsys", "compare-schemes", str(path)]
    for name, value in {**options, "data-dir": data_dir, "cache-dir": cache_dir, "out": folder}.items():
        argv += [f"--{name}", str(value)]
    return shlex.join(argv)


@contextmanager
def cell_reports() -> Iterator[Callable[[int, int, float | None], None]]:
    """Yield a function that shows (cells done, all cells, seconds left if known) as a bar, or as lines of a log."""
    if not sys.stderr.isatty():

        def log(done: int, cells: int, seconds: float | None) -> None:
            if seconds is not None and done < cells:
                console.print(f"{done} of {cells} cells, {time_left(seconds)}")

        yield log
        return
    columns = (TextColumn("cells"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=None)

        def show(done: int, cells: int, seconds: float | None) -> None:
            bar.update(task, completed=done, total=cells, description=time_left(seconds))

        yield show


def time_left(seconds: float | None) -> str:
    """Write the remaining time in words.

    >>> time_left(4000), time_left(45), time_left(None)
    ('about 1 h 6 min left', 'less than a minute left', '')
    """
    if seconds is None:
        return ""
    hours, minutes = divmod(int(seconds) // 60, 60)
    if hours:
        return f"about {hours} h {minutes} min left"
    return f"about {minutes} min left" if minutes else "less than a minute left"
