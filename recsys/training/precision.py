"""The precision of the dense layers: chosen once, when a run starts, and kept by the run."""

from collections.abc import Callable, Collection
from typing import Literal

import torch

from recsys.config import Config, load_run_config
from recsys.config.problems import Problem
from recsys.config.towers import TowerSection
from recsys.environment.machine import BF16_FLAGS, read_cpu_flags
from recsys.ranks import broadcast
from recsys.run_folder import RunFolder

__all__ = ["choose_precision", "resolve_precision", "slow_precision_warnings"]

CpuFlags = Callable[[], Collection[str]]
"""Returns the names of a CPU's instruction sets, as in /proc/cpuinfo."""


def choose_precision(
    device: torch.device, tower: TowerSection, *, cpu_flags: CpuFlags = read_cpu_flags
) -> Literal["32", "bf16-mixed"]:
    """Return "bf16-mixed" where it makes training faster, else "32".

    CUDA devices compute in bfloat16 since Ampere; CPUs with the instruction sets avx512_bf16, amx_bf16 or, on ARM,
    bf16. Measured on one thread, forward and backward: with avx512_bf16 (AMD EPYC) an MLP of 1000-400-200 takes .14 s
    for 4,096 rows, and .28 s in 32 bits. On a CPU without them, training in bf16-mixed ran at .58 times the rows per
    second.

    On a CPU a tower that reads histories entry by entry trains in 32 bits: an epoch of DIN on Beauty took 16 CPU
    seconds in bf16-mixed and 7 in 32 bits (Intel Xeon with AMX). A batch has as many entries as its histories happen to
    have, and torch generates the code of a product in bfloat16 anew for every number of rows that it has not met.

    Args:
        device: The device that trains.
        tower: The section of the tower.
        cpu_flags: Reads the instruction sets of the CPU.
    """
    if device.type == "cuda":
        is_fast = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        is_fast = not tower.uses_behaviours and not BF16_FLAGS.isdisjoint(cpu_flags())
    return "bf16-mixed" if is_fast else "32"


def resolve_precision(
    config: Config, device: torch.device, *, resumed: RunFolder | None = None, cpu_flags: CpuFlags = read_cpu_flags
) -> Config:
    """Return the configuration with the precision that `auto` stands for, on every rank that of rank 0.

    Args:
        config: The configuration.
        device: The device that trains.
        resumed: A run that is resumed; it keeps its precision, whatever machine resumes it.
        cpu_flags: Reads the instruction sets of the CPU.

    Raises:
        DataError: The folder is not that of a run.
    """
    if config.train.precision != "auto":
        return config
    if resumed is not None:
        resumed.require_run()
        chosen = load_run_config(resumed.config).train.precision
    else:
        chosen = choose_precision(device, config.model, cpu_flags=cpu_flags)
    chosen = broadcast(chosen)
    return config.replaced(train=config.train.model_copy(update={"precision": chosen}))


def slow_precision_warnings(config: Config, device: torch.device, *, cpu_flags: CpuFlags = read_cpu_flags) -> list[str]:
    """Return a warning if the configuration asks for bf16-mixed on a CPU that does not compute in it, else []."""
    if config.train.precision != "bf16-mixed" or device.type != "cpu" or not BF16_FLAGS.isdisjoint(cpu_flags()):
        return []
    text = (
        "bf16-mixed takes about twice the time of 32 on this CPU, which has no instructions for it (avx512_bf16 or "
        "amx_bf16); leave it at auto"
    )
    found = config.source.locate(Problem(("train", "precision"), text))
    return [f"{found.location}: {found.text}" if found.location else found.text]
