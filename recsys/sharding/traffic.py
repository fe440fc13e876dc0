"""Bytes that ranks exchange in one training step, counted from what is sent to whom.

For a shard on rank h, with b rows of the batch on each of W ranks:

    ids        every rank -> h            8 bytes an id and 4 a bag; of a table split by rows, h's fraction of the ids
    vectors    h -> every rank            b x bags x columns floats (all-to-all, or reduce-scatter if split by rows)
    gradients  every rank -> h            the same, backwards

A table that is split by rows inside a host (table_row_wise, grid) sums its vectors there before they leave it: of the
W x b rows, each rank of the host collects those of its counterparts on other hosts, and sends them on.

Dimension key: W ranks.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recsys.sharding.machine import Machine
from recsys.sharding.table_load import TableLoad
from recsys.sharding.table_sharding import TableShard, TableSharding

__all__ = ["RankTraffic", "all_reduce_traffic", "lookup_traffic"]

ID_BYTES, LENGTH_BYTES = 8, 4

Matrix = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class RankTraffic:
    """Bytes that a rank exchanges: of each collective what it sends or what it receives, whichever is more."""

    intra_host: float
    """Bytes to or from ranks of the same host."""
    inter_host: float
    """Bytes to or from other hosts."""

    def __add__(self, other: "RankTraffic") -> "RankTraffic":
        return RankTraffic(self.intra_host + other.intra_host, self.inter_host + other.inter_host)

    def ms(self, machine: Machine) -> float:
        """Return the milliseconds that this takes at the machine's bandwidths."""
        return 1e3 * (self.intra_host / machine.intra_bandwidth + self.inter_host / machine.inter_bandwidth)


def lookup_traffic(
    tables: Iterable[tuple[TableLoad, TableSharding]], machine: Machine, *, batch_size: int, float_bytes: int
) -> list[RankTraffic]:
    """Return what each rank exchanges for the lookups of a step: ids, vectors, and their gradients.

    Args:
        tables: Load and sharding of each table.
        machine: Machine with the number of ranks and hosts.
        batch_size: Rows of a step over all ranks.
        float_bytes: Bytes of a float that is exchanged.
    """
    ids_WW, vectors_WW = (np.zeros((machine.world_size, machine.world_size)) for _ in range(2))
    rows = batch_size / machine.world_size
    for load, sharded in tables:
        for shard in sharded.shards:
            fraction = shard.num_rows / load.rows
            ids_WW[:, shard.rank] += rows * (ID_BYTES * load.ids_per_row * fraction + LENGTH_BYTES * load.bags_per_row)
            size = rows * load.bags_per_row * shard.num_columns * float_bytes
            vectors_WW += _sent_vectors(shard, sharded, machine, size)
    ids, vectors = _by_rank(ids_WW, machine), _by_rank(vectors_WW, machine)
    return [own_ids + own_vectors + own_vectors for own_ids, own_vectors in zip(ids, vectors, strict=True)]


def _sent_vectors(shard: TableShard, sharded: TableSharding, machine: Machine, size: float) -> Matrix:
    """Return the bytes of a shard's vectors that are sent (from, to); `size` is that of the vectors of one rank."""
    sent_WW = np.zeros((machine.world_size, machine.world_size))
    rank, local = shard.rank, machine.local_world_size
    if sharded.sharding not in ("table_row_wise", "grid"):
        sent_WW[rank, :] = size
        return sent_WW
    first_of_host = rank - rank % local
    sent_WW[rank, first_of_host : first_of_host + local] = size * machine.num_hosts
    counterparts = range(rank % local, machine.world_size, local)
    for other in counterparts:
        if other != rank:
            sent_WW[rank, other] = size
    return sent_WW


def _by_rank(sent_WW: Matrix, machine: Machine) -> list[RankTraffic]:
    host = np.arange(len(sent_WW)) // machine.local_world_size
    is_same_host = host[:, None] == host[None, :]
    np.fill_diagonal(sent_WW, 0.0)
    intra_WW, inter_WW = sent_WW * is_same_host, sent_WW * ~is_same_host
    most = [np.maximum(sent.sum(axis=1), sent.sum(axis=0)) for sent in (intra_WW, inter_WW)]
    return [RankTraffic(float(intra), float(inter)) for intra, inter in zip(*most, strict=True)]


def all_reduce_traffic(num_bytes: int, machine: Machine) -> RankTraffic:
    """Return what each rank sends to sum the dense gradients in a ring inside each host, then over the hosts.

    >>> machine = Machine.detect(1, "cpu").with_devices(16, 8)
    >>> all_reduce_traffic(1600, machine)
    RankTraffic(intra_host=2800.0, inter_host=200.0)
    """
    local, hosts = machine.local_world_size, machine.num_hosts
    return RankTraffic(2 * (local - 1) / local * num_bytes, 2 * (hosts - 1) / hosts * num_bytes / local)
