"""Bytes on the wire of one training step, counted from what is sent to whom.

For a part of a table on rank h, with b rows of the batch on each of W ranks:

    ids        every rank -> h            8 bytes an id and 4 a bag; of a table cut by rows, h's share of the ids
    vectors    h -> every rank            b x bags x columns floats (all-to-all, or reduce-scatter if cut by rows)
    gradients  every rank -> h            the same, backwards

A table cut by rows inside a host (table_row_wise, grid) sums its vectors there before they leave it: of the W x b rows
each of the host's ranks collects those of its own counterparts on other hosts, and sends them on.

Dimension key: W ranks.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recsys.sharding.machine import Machine
from recsys.sharding.shards import Part, TableSharding
from recsys.sharding.table_load import TableLoad

__all__ = ["Wire", "all_reduce", "lookup_traffic"]

ID, LENGTH = 8, 4
"""Bytes."""

Matrix = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Wire:
    """Bytes that a rank moves: of each exchange what it sends or what it receives, whichever is more."""

    intra: float
    """To or from ranks of its host."""
    inter: float
    """To or from other hosts."""

    def __add__(self, other: "Wire") -> "Wire":
        return Wire(self.intra + other.intra, self.inter + other.inter)

    def ms(self, machine: Machine) -> float:
        """Return milliseconds at the machine's bandwidths."""
        return 1e3 * (self.intra / machine.intra + self.inter / machine.inter)


def lookup_traffic(
    tables: Iterable[tuple[TableLoad, TableSharding]], machine: Machine, *, batch_size: int, float_bytes: int
) -> list[Wire]:
    """Return what each rank moves for the lookups of a step: ids, vectors, and gradients the other way round.

    Args:
        tables: each with where it is.
        machine: number of ranks and hosts.
        batch_size: rows of a step over all ranks.
        float_bytes: of a float on the wire.
    """
    ids_WW, vectors_WW = (np.zeros((machine.world, machine.world)) for _ in range(2))
    rows = batch_size / machine.world
    for load, placed in tables:
        for part in placed.parts:
            share = part.rows / load.rows
            ids_WW[:, part.rank] += rows * (ID * load.all_ids * share + LENGTH * load.all_bags)
            vectors_WW += _vectors(part, placed, machine, rows * load.all_bags * part.columns * float_bytes)
    ids, vectors = _wires(ids_WW, machine.per_host), _wires(vectors_WW, machine.per_host)
    return [one + both + both for one, both in zip(ids, vectors, strict=True)]


def _vectors(part: Part, placed: TableSharding, machine: Machine, size: float) -> Matrix:
    """Return what is sent (from, to) of the vectors of a part; `size` bytes are those of the rows of one rank."""
    sent_WW = np.zeros((machine.world, machine.world))
    rank = part.rank
    if placed.shard not in ("table_row_wise", "grid"):
        sent_WW[rank, :] = size
        return sent_WW
    host = slice(rank - rank % machine.per_host, rank - rank % machine.per_host + machine.per_host)
    sent_WW[rank, host] = size * machine.num_hosts
    counterparts = range(rank % machine.per_host, machine.world, machine.per_host)
    for other in counterparts:
        if other != rank:
            sent_WW[rank, other] = size
    return sent_WW


def _wires(sent_WW: Matrix, per_host: int) -> list[Wire]:
    host = np.arange(len(sent_WW)) // per_host
    is_near = host[:, None] == host[None, :]
    np.fill_diagonal(sent_WW, 0.0)
    near, far = sent_WW * is_near, sent_WW * ~is_near
    most = [np.maximum(part.sum(axis=1), part.sum(axis=0)) for part in (near, far)]
    return [Wire(float(intra), float(inter)) for intra, inter in zip(*most, strict=True)]


def all_reduce(num_bytes: int, machine: Machine) -> Wire:
    """Return what each rank sends to sum the dense gradients: in a ring inside each host, then over the hosts.

    >>> machine = Machine.here(1, "cpu").of(16, 8)
    >>> all_reduce(1600, machine)
    Wire(intra=2800.0, inter=200.0)
    """
    local, hosts = machine.per_host, machine.num_hosts
    return Wire(2 * (local - 1) / local * num_bytes, 2 * (hosts - 1) / hosts * num_bytes / local)
