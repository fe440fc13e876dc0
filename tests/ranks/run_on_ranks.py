"""Running a function of a test in several processes that form a gloo group."""

import faulthandler
import tempfile
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import distributed, multiprocessing

from recsys.process_end import end_process


def run_on_ranks(
    function: Callable[..., Any], *arguments: Any, size: int = 2, seconds: float = 120, **options: Any
) -> list[Any]:
    """Call `function(*arguments, **options)` in `size` processes, and return the results by rank.

    The function must be importable, and its arguments and results picklable. A rank that raises fails the test, and so
    do ranks that take longer than `seconds`.
    """
    with tempfile.TemporaryDirectory() as folder:
        context = multiprocessing.start_processes(
            _run,
            args=(size, folder, partial(function, **options), arguments),
            nprocs=size,
            join=False,
            start_method="spawn",
        )
        try:
            deadline = seconds
            while not context.join(timeout=1.0):
                deadline -= 1
                assert deadline > 0, f"ranks hang: {function}"
        finally:
            for process in context.processes:
                if process.is_alive():
                    process.kill()
        return [torch.load(Path(folder) / f"{rank}.pt", weights_only=False) for rank in range(size)]


def _run(rank: int, size: int, folder: str, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    faulthandler.enable()
    torch.set_num_threads(1)
    store = distributed.FileStore(f"{folder}/store", size)
    distributed.init_process_group("gloo", store=store, rank=rank, world_size=size, timeout=timedelta(seconds=60))
    result = function(*arguments)
    distributed.barrier()
    torch.save(result, Path(folder) / f"{rank}.pt")
    distributed.destroy_process_group()
    end_process(0)
