"""`recsys plan`."""

import shlex
from pathlib import Path
from typing import Annotated, Literal

import typer

from recsys.api.defaults import DEFAULT_CACHE
from recsys.cli.options import CacheDir, ConfigFile, DataDir, data_options

__all__ = ["plan"]


def plan(
    config: ConfigFile,
    world: Annotated[int, typer.Option(help="Number of devices.", min=1)] = 1,
    per_host: Annotated[
        int | None, typer.Option(help="Number of devices on each host; by default 8, or all if there are fewer.", min=1)
    ] = None,
    device: Annotated[Literal["cpu", "cuda"], typer.Option(help="Type of the devices.")] = "cuda",
    gpu: Annotated[str, typer.Option(help="Model: a100-40, a100-80, h100-pcie, h100, h200 or b200.")] = "h100",
    memory: Annotated[
        str | None, typer.Option(help="Memory of a device, such as 80GiB; by default that of the GPU.")
    ] = None,
    host_memory: Annotated[str | None, typer.Option(help="Memory of a host, such as 2TiB.")] = None,
    intra_bandwidth: Annotated[
        str | None,
        typer.Option(help="Bytes per second between two devices of a host, in one direction, such as 450GB."),
    ] = None,
    inter_bandwidth: Annotated[
        str | None, typer.Option(help="Bytes per second from a device to other hosts, such as 25GB.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="File to write the plan to, for `recsys train --plan`.")] = None,
    data_dir: DataDir = Path(),
    cache_dir: CacheDir = DEFAULT_CACHE,
) -> None:
    """Show the sharding plan for a machine: which rows are on which device, why, and the estimated cost of a step.

    None of the devices are needed; data is needed only if the sizes of tables depend on vocabularies learned from it.
    If the tables do not fit into memory, the message says which is too large and what would make it fit.

    Example: `recsys plan run.yaml --world 16 --per-host 8 --memory 80GiB`
    """
    from recsys.cli.plan import Hardware, plan_and_show

    hardware = Hardware(
        device=device,
        world=world,
        per_host=per_host,
        gpu=gpu,
        memory=memory,
        host_memory=host_memory,
        intra_bandwidth=intra_bandwidth,
        inter_bandwidth=inter_bandwidth,
    )
    argv = shlex.join([str(config), *data_options(data_dir, cache_dir)])
    plan_and_show(config, hardware, out=out, data_dir=data_dir, cache_dir=cache_dir, argv=argv)
