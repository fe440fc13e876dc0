"""TorchRec's planner with the real batch size, memory, bandwidths and possible sharding types.

Its defaults are 32 GB of memory and 512 rows on each device, one id in a bag, no row-wise sharding on CPUs, and an
optimizer state as precise as the rows; and it makes small tables data parallel, which hands them to the dense
optimizer. The order of its search depends on Python's hashing of strings, so options are sorted here.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import cast

import torch
from torch import nn
from torchrec.distributed.embeddingbag import EmbeddingBagCollectionSharder
from torchrec.distributed.fbgemm_qcomm_codec import CommType, QCommsConfig, get_qcomm_codecs_registry
from torchrec.distributed.planner import EmbeddingShardingPlanner, ParameterConstraints
from torchrec.distributed.planner.enumerators import EmbeddingEnumerator
from torchrec.distributed.planner.proposers import GreedyProposer, UniformProposer
from torchrec.distributed.planner.storage_reservations import FixedPercentageStorageReservation
from torchrec.distributed.planner.types import (
    Enumerator,
    HardwareConfig,
    KernelConfig,
    PlannerError,
    Proposer,
    ShardingOption,
    Storage,
    Topology,
    TopologyFactory,
    TrainerConfig,
)
from torchrec.distributed.types import CacheParams, ModuleSharder, QuantizedCommCodecs
from torchrec.modules.embedding_configs import DataType, EmbeddingBagConfig
from torchrec.modules.embedding_modules import EmbeddingBagCollection

from recsys.config import Communication
from recsys.config.schemes import Sharding
from recsys.sharding.candidates import Candidates
from recsys.sharding.machine import Machine
from recsys.sharding.planner_parts import FixedEnumerator, MaxRankPerfModel, SmallestShardProposer
from recsys.sharding.table_load import TableLoad
from recsys.sharding.table_sharding import Kernel

__all__ = ["CACHE_LOAD_FACTOR", "COMPUTE_KERNELS", "SHARDING_TYPES", "Planner", "cache_bytes", "comm_codecs"]

SHARDING_TYPES: dict[Sharding, str] = {
    "table_wise": "table_wise",
    "row_wise": "row_wise",
    "column_wise": "column_wise",
    "table_row_wise": "table_row_wise",
    "grid": "grid_shard",
}
"""TorchRec's sharding type for each of the configuration's."""
COMPUTE_KERNELS = {"ram": "fused", "hbm": "fused", "uvm": "fused_uvm", "uvm_caching": "fused_uvm_caching"}
CACHE_LOAD_FACTOR = 0.2
"""Fraction of the rows that uvm_caching keeps in the device's memory."""
_CACHE_INDEX_BYTES = (4, 16)
"""Bytes of the cache's index: for each row of the table, and for each row that the cache has room for."""


class Planner:
    """The sharding options of every table, and the choice between them.

    Args:
        loads: Loads of all tables.
        allowed: Candidates of each table, in the order of `loads`.
        machine: Machine to plan for.
        batch_size: Rows of a step over all devices.
        table_memory: Bytes of each device that tables may take.
        communication: Precision of the vectors and gradients that ranks exchange.
    """

    def __init__(
        self,
        loads: Sequence[TableLoad],
        allowed: Sequence[Candidates],
        machine: Machine,
        *,
        batch_size: int,
        table_memory: int,
        communication: Communication,
    ) -> None:
        self.module = _meta_collections(loads)
        self.machine = machine
        self.loads = {load.name: load for load in loads}
        self.local_batch_size = -(-batch_size // machine.world_size)
        self.sharders = [cast("ModuleSharder[nn.Module]", _Sharder(qcomm_codecs_registry=comm_codecs(communication)))]
        self.constraints = {
            load.name: _torchrec_constraints(load, one) for load, one in zip(loads, allowed, strict=True)
        }
        with _without_logging():
            self.topology = _topology(machine, table_memory)
            enumerator = EmbeddingEnumerator(self.topology, self.local_batch_size, self.constraints)
            self.options = sorted(enumerator.enumerate(self.module, self.sharders), key=_sort_key)
        for option in self.options:
            for shard in option.shards:
                shard.storage = self._storage(option, *shard.size)

    def _storage(self, option: ShardingOption, rows: int, columns: int) -> Storage:
        """Return the memory of a shard: rows, optimizer state, and the buffers of its ids, vectors and gradients."""
        load, machine = self.loads[option.name], self.machine
        held = load.shard_bytes(rows, columns)
        batch_size = machine.world_size * self.local_batch_size
        fraction = rows / load.rows
        buffers = int(batch_size * (2 * 8 * load.ids_per_row * fraction + 2 * 4 * load.bags_per_row * columns))
        if machine.world_size == 1:
            buffers = 0  # what the kernel returns is what the tower reads
        if machine.device == "cpu":
            return Storage(hbm=0, ddr=held + buffers)
        if option.compute_kernel == COMPUTE_KERNELS["hbm"]:
            return Storage(hbm=held + buffers, ddr=0)
        if option.compute_kernel == COMPUTE_KERNELS["uvm"]:
            return Storage(hbm=buffers, ddr=held)
        return Storage(hbm=cache_bytes(held, rows, "uvm_caching") + buffers, ddr=held)

    def best(self) -> list[ShardingOption] | None:
        """Return one option for each table, with ranks, so that the slowest rank is the fastest; None if none fits."""
        greedy = [GreedyProposer(), GreedyProposer(use_depth=False)]
        return self._plan([SmallestShardProposer(), *greedy, UniformProposer()])

    def fits(self) -> bool:
        """Return whether `best` would find a plan."""
        return self._plan([SmallestShardProposer()]) is not None

    def _plan(self, proposers: list[Proposer]) -> list[ShardingOption] | None:
        if self.machine.world_size == 1 or not self.options:  # there are none if all schemes keep their own rows
            return self._on_one_device()
        plans: list[list[ShardingOption]] = []

        def keep(plan: list[ShardingOption]) -> list[ShardingOption]:
            plans.append(plan)
            return plan

        try:
            with _without_logging():
                planner = EmbeddingShardingPlanner(
                    topology=self.topology,
                    batch_size=self.local_batch_size,
                    enumerator=cast("Enumerator", FixedEnumerator(self.options)),
                    storage_reservation=FixedPercentageStorageReservation(0.0),
                    proposer=proposers,
                    stats=[],
                    constraints=self.constraints,
                    performance_model=MaxRankPerfModel(),
                    debug=False,
                    callbacks=[keep],
                )
                planner.plan(self.module, self.sharders)
        except PlannerError:
            return None
        return self._in_order(plans[0])

    def _on_one_device(self) -> list[ShardingOption] | None:
        """Return every table whole on rank 0, which needs no search; None if they do not fit."""
        needed, available = Storage(hbm=0, ddr=0), self.topology.devices[0].storage
        for option in self.options:
            option.shards[0].rank = 0
            needed += option.shards[0].storage
        return self._in_order(self.options) if needed.fits_in(available) else None

    def _in_order(self, options: list[ShardingOption]) -> list[ShardingOption]:
        order = {name: i for i, name in enumerate(self.loads)}
        return sorted(options, key=lambda option: order[option.name])


def _meta_collections(loads: Sequence[TableLoad]) -> nn.ModuleDict:
    """Return collections of tables of the loads' sizes, on the meta device."""
    by_collection: dict[str, list[EmbeddingBagConfig]] = {}
    for load in loads:
        config = EmbeddingBagConfig(
            name=load.name,
            num_embeddings=load.rows,
            embedding_dim=load.dim,
            feature_names=[f"{load.name}@{i}" for i in range(len(load.pooling_factors))],
            data_type=DataType[load.constraints.precision.upper()],
        )
        by_collection.setdefault(load.collection, []).append(config)
    meta = torch.device("meta")
    return nn.ModuleDict(
        {name: EmbeddingBagCollection(tables=tables, device=meta) for name, tables in by_collection.items()}
    )


def cache_bytes(held: int, rows: int, kernel: Kernel) -> int:
    """Return the bytes of device memory that a shard in the host's memory takes for its cache.

    Args:
        held: Bytes of the shard's rows and optimizer state.
        rows: Number of its rows.
        kernel: "uvm_caching"; other kernels have no cache.
    """
    by_row, by_cached_row = _CACHE_INDEX_BYTES
    cache = CACHE_LOAD_FACTOR * held + rows * (by_row + CACHE_LOAD_FACTOR * by_cached_row)
    return int(cache) if kernel == "uvm_caching" else 0


class _Sharder(EmbeddingBagCollectionSharder):  # type: ignore[misc]
    """Offers all sharding types that work, which are more than TorchRec's on CPUs; never data parallel."""

    def sharding_types(self, compute_device_type: str) -> list[str]:  # noqa: ARG002
        return list(SHARDING_TYPES.values())


def comm_codecs(communication: Communication) -> dict[str, QuantizedCommCodecs] | None:
    """Return TorchRec's codecs for the vectors and gradients that ranks exchange; None for fp32.

    Gradients of 16 bits are always bfloat16: those of large batches are near 1e-7, which float16 rounds to 0.
    """
    if communication == "fp32":
        return None
    kind = {"fp16": CommType.FP16, "bf16": CommType.BF16}[communication]
    found: dict[str, QuantizedCommCodecs] = get_qcomm_codecs_registry(QCommsConfig(kind, CommType.BF16))
    return found


def _sort_key(option: ShardingOption) -> tuple[str, int, str]:
    return option.fqn, list(SHARDING_TYPES.values()).index(option.sharding_type), option.compute_kernel


def _torchrec_constraints(load: TableLoad, allowed: Candidates) -> ParameterConstraints:
    return ParameterConstraints(
        sharding_types=[SHARDING_TYPES[sharding] for sharding in allowed.sharding_types],
        compute_kernels=[COMPUTE_KERNELS[allowed.kernel]],
        min_partition=allowed.width,
        pooling_factors=list(load.pooling_factors),
        num_poolings=list(load.num_poolings),
        cache_params=CacheParams(load_factor=CACHE_LOAD_FACTOR) if allowed.kernel == "uvm_caching" else None,
    )


def _topology(machine: Machine, table_memory: int) -> Topology:
    """Return the machine in TorchRec's terms, whose bandwidths are in bytes per millisecond."""
    is_cpu = machine.device == "cpu"
    return TopologyFactory.create_topology(
        TrainerConfig(
            world_size=machine.world_size,
            local_world_size=machine.local_world_size,
            hbm_cap_bytes=None if is_cpu else table_memory,
            ddr_cap_bytes=table_memory if is_cpu else machine.usable_host,
        ),
        HardwareConfig(
            intra_host_bw=machine.intra_bandwidth / 1000,
            inter_host_bw=machine.inter_bandwidth / 1000,
            hbm_mem_bw=machine.memory_bandwidth / 1000,
            ddr_mem_bw=machine.host_memory_bandwidth / 1000,
            hbm_to_ddr_mem_bw=machine.host_link_bandwidth / 1000,
        ),
        KernelConfig(compute_device=machine.device, use_hardware_based_bandwidth=True),
    )


@contextmanager
def _without_logging() -> Iterator[None]:
    """Silence TorchRec's planner, which logs its search; what matters of it is in the sharding plan."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        yield
    finally:
        logging.disable(before)
