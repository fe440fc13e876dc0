"""Forming the process groups of a training, and leaving them.

Whoever starts the processes, `recsys train --devices` or torchrun, puts each one's rank into its environment. The ranks
meet at a store that rank 0 (or torchrun) opens, form their process groups, and monitor each other from then on.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch
from torch import distributed
from torch._C._distributed_c10d import HashStore, PrefixStore, TCPStore

from recsys.errors import EnvironmentError_
from recsys.launch.torchrun import LISTENER, RankInfo, rank_info
from recsys.ranks.heartbeat import POLL_SECONDS, HeartbeatMonitor, write_first_heartbeat
from recsys.ranks.signals import delay_exit
from recsys.ranks.world import SINGLE_PROCESS, World, current_world

__all__ = ["checkpoint_group", "destroy_process_group", "init_process_group", "process_group", "reader_group"]

JOIN_SECONDS = 300.0
"""Time that the ranks wait for the last one to come."""

COLLECTIVE_TIMEOUT = timedelta(days=1)
"""Long, for rank 0 may prepare the data for hours while the others wait; the heartbeats tell who is gone."""

_HEARTBEATS = "heartbeats"
_groups: dict[str, distributed.ProcessGroup] = {}
_monitors: list[HeartbeatMonitor] = []


def init_process_group(device_type: str, timeout: float = JOIN_SECONDS) -> World:
    """Form a process group with the other processes of this training, or a group of one; a group that exists is kept.

    Import what takes long before: the ranks monitor each other from here on. On CUDA, this rank's device is set.

    Args:
        device_type: "cpu" or "cuda".
        timeout: seconds to wait for the other ranks.

    Raises:
        EnvironmentError_: variables of torchrun are missing or contradict each other, this host has fewer devices than
            ranks, or a rank has not come in time.
    """
    if distributed.is_initialized():
        return _world(current_world(), rank_info())
    found = rank_info()
    if device_type == "cuda":
        _set_device(found)
    backend = "cpu:gloo,cuda:nccl" if device_type == "cuda" else "gloo"
    if found is None or found.size == 1:
        # a store that needs no port and no environment variable
        distributed.init_process_group(backend, store=HashStore(), rank=0, world_size=1)
        return SINGLE_PROCESS
    store = _rendezvous(found, timeout)
    world = World(found.rank, found.size, found.local_rank, found.local_size)
    _start_monitor(store, world)  # before the groups: to form one is to wait for all others
    os.environ.setdefault("TORCH_NCCL_ASYNC_ERROR_HANDLING", "0")  # else NCCL ends it before the reason is known
    distributed.init_process_group(
        backend,
        store=PrefixStore("groups", store),
        rank=world.rank,
        world_size=world.size,
        timeout=COLLECTIVE_TIMEOUT,
    )
    reader_group()
    return world


def destroy_process_group() -> None:
    """Wait until all ranks call this, then destroy the groups; a group of one is kept for what may follow."""
    if _monitors:
        distributed.barrier(checkpoint_group())
        _stop_monitor(0)
        _groups.clear()
        distributed.destroy_process_group()


@contextmanager
def process_group(device_type: str) -> Iterator[World]:
    """Form the process groups for the time of a block; an error that leaves the block ends all ranks with its reason.

    Args:
        device_type: "cpu" or "cuda".

    Example:
        >>> with process_group("cpu") as world:
        ...     world.is_rank_zero
        True
    """
    try:
        yield init_process_group(device_type)
    except (KeyboardInterrupt, SystemExit) as stop:
        _stop_monitor(stop.code if isinstance(stop, SystemExit) and isinstance(stop.code, int) else 130)
        raise
    except BaseException as error:
        if _monitors:
            _monitors[0].abort(error)
        raise
    destroy_process_group()


def reader_group() -> distributed.ProcessGroup | None:
    """Return the CPU group that the readers' threads use; None in a single process."""
    return _group("reader")


def checkpoint_group() -> distributed.ProcessGroup | None:
    """Return the CPU group for checkpoints written in the background; None in a single process."""
    return _group("checkpoint")


def _group(name: str) -> distributed.ProcessGroup | None:
    """Return a group of all ranks; all are made at once, since every rank must make the same in the same order."""
    if current_world().size > 1 and not _groups:
        for made in ("reader", "checkpoint"):
            _groups[made] = distributed.new_group(backend="gloo", timeout=COLLECTIVE_TIMEOUT)
    return _groups.get(name)


def _world(group: World, found: RankInfo | None) -> World:
    if found is not None and (found.rank, found.size) == (group.rank, group.size):
        return World(found.rank, found.size, found.local_rank, found.local_size)
    return World(group.rank, group.size, group.rank, group.size)  # not formed here, as in tests: all on this host


def _set_device(found: RankInfo | None) -> None:
    local_rank, local_size = (found.local_rank, found.local_size) if found else (0, 1)
    devices = torch.cuda.device_count()
    if devices < local_size:
        raise EnvironmentError_(
            f"{local_size} processes of this host want a CUDA device each, but torch sees {devices}; "
            f"see `recsys doctor`, or use --devices {max(1, devices)}"
        )
    torch.cuda.set_device(local_rank)


def _rendezvous(found: RankInfo, timeout: float) -> PrefixStore:
    """Connect to the store, and wait until every rank has."""
    of_agent = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
    listener = os.environ.get(LISTENER)
    ranks = [f"here/{rank}" for rank in range(found.size)]
    store: PrefixStore | None = None
    try:
        opened = TCPStore(
            found.address,
            found.port,
            is_master=found.rank == 0 and not of_agent,
            timeout=timedelta(seconds=timeout),
            wait_for_workers=False,
            master_listen_fd=int(listener) if listener and found.rank == 0 else None,
        )
        store = PrefixStore(f"recsys/{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}", opened)
        write_first_heartbeat(PrefixStore(_HEARTBEATS, store), found.rank)
        store.set(ranks[found.rank], "1")
        store.wait(ranks, timedelta(seconds=timeout))
    except distributed.DistError as error:
        raise EnvironmentError_(_describe_missing(found, store, ranks, timeout)) from error
    return store


def _describe_missing(found: RankInfo, store: PrefixStore | None, ranks: list[str], timeout: float) -> str:
    where = f"{found.address}:{found.port}"
    if store is None:
        return f"rank {found.rank}: rank 0 did not answer at {where} (MASTER_ADDR:MASTER_PORT) within {timeout:.0f} s"
    try:
        missing = [str(rank) for rank, key in enumerate(ranks) if not store.check([key])]
    except distributed.DistError:
        return f"rank {found.rank}: rank 0 at {where} has gone before all ranks had come"
    return (
        f"{found.size - len(missing)} of {found.size} ranks came to {where} within {timeout:.0f} s; "
        f"missing: {', '.join(missing)}; see what they and their hosts say"
    )


def _start_monitor(store: PrefixStore, world: World) -> None:
    connection = store.clone()  # type: ignore[attr-defined]
    monitor = HeartbeatMonitor(PrefixStore(_HEARTBEATS, connection), world)
    monitor.start()
    delay_exit(2.5 * POLL_SECONDS)
    _monitors.append(monitor)


def _stop_monitor(code: int) -> None:
    while _monitors:
        _monitors.pop().close(code)
    delay_exit(0)
