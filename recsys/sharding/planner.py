"""TorchRec's planner, told the truth: which shardings are allowed, real batches, memory and bandwidths.

What it would assume otherwise: 32 GB of memory and 512 rows on each device, one id a bag, no row-wise sharding on CPUs,
an optimiser's state as precise as its rows; and it would make small tables data parallel, which hands them to the dense
optimiser. Its order of search hangs on Python's hashing of strings, so options are sorted here.
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
from recsys.sharding.proposers import Known, Slowest, Tightest
from recsys.sharding.shards import Kernel
from recsys.sharding.table_load import TableLoad

__all__ = ["CACHED", "KERNELS", "SHARDINGS", "Planner", "cached_bytes", "codecs"]

SHARDINGS: dict[Sharding, str] = {
    "table_wise": "table_wise",
    "row_wise": "row_wise",
    "column_wise": "column_wise",
    "table_row_wise": "table_row_wise",
    "grid": "grid_shard",
}
"""Our names -> TorchRec's."""
KERNELS = {"ram": "fused", "hbm": "fused", "uvm": "fused_uvm", "uvm_caching": "fused_uvm_caching"}
CACHED = 0.2
"""Share of the rows that uvm_caching keeps in the device's memory."""
_CACHE_BYTES = (4, 16)
"""What the cache keeps beside the rows: for each row of the table, and for each it has room for."""


class Planner:
    """Options for every table, and the choice between them.

    Args:
        loads: of all tables.
        allowed: for each of them, in the same order.
        machine: to be planned for.
        batch_size: rows of a step over all devices.
        room: bytes of each device that tables may take.
        communication: how vectors are written for the way between devices.
    """

    def __init__(
        self,
        loads: Sequence[TableLoad],
        allowed: Sequence[Candidates],
        machine: Machine,
        *,
        batch_size: int,
        room: int,
        communication: Communication,
    ) -> None:
        self.module = _collections(loads)
        self.machine = machine
        self.loads = {load.name: load for load in loads}
        self.rows = -(-batch_size // machine.world)
        self.sharders = [cast("ModuleSharder[nn.Module]", _Sharder(qcomm_codecs_registry=codecs(communication)))]
        self.constraints = {load.name: _constraints(load, one) for load, one in zip(loads, allowed, strict=True)}
        with _quiet():
            self.topology = _topology(machine, room)
            enumerator = EmbeddingEnumerator(self.topology, self.rows, self.constraints)
            self.options = sorted(enumerator.enumerate(self.module, self.sharders), key=_order)
        for option in self.options:
            for shard in option.shards:
                shard.storage = self._storage(option, *shard.size)

    def _storage(self, option: ShardingOption, rows: int, columns: int) -> Storage:
        """Return the bytes of a part: rows, the optimiser's state, and the buffers of its vectors and gradients."""
        load, machine = self.loads[option.name], self.machine
        held = load.weights(rows, columns) + load.state(rows, columns)
        share = rows / load.rows
        each = machine.world * self.rows
        buffers = int(each * (2 * 8 * load.all_ids * share + 2 * 4 * load.all_bags * columns))
        if machine.world == 1:
            buffers = 0  # what the kernel returns is what the tower reads
        if machine.device == "cpu":
            return Storage(hbm=0, ddr=held + buffers)
        if option.compute_kernel == KERNELS["hbm"]:
            return Storage(hbm=held + buffers, ddr=0)
        if option.compute_kernel == KERNELS["uvm"]:
            return Storage(hbm=buffers, ddr=held)
        return Storage(hbm=cached_bytes(held, rows, "uvm_caching") + buffers, ddr=held)

    def best(self) -> list[ShardingOption] | None:
        """Return one option for each table, its shards on ranks: that with the fastest slowest rank, or None."""
        return self._plan([Tightest(), GreedyProposer(), GreedyProposer(use_depth=False), UniformProposer()])

    def fits(self) -> bool:
        """Tell whether `best` would find something."""
        return self._plan([Tightest()]) is not None

    def _plan(self, proposers: list[Proposer]) -> list[ShardingOption] | None:
        if self.machine.world == 1 or not self.options:  # all schemes may keep their rows themselves
            return self._on_one()
        chosen: list[list[ShardingOption]] = []

        def keep(plan: list[ShardingOption]) -> list[ShardingOption]:
            chosen.append(plan)
            return plan

        try:
            with _quiet():
                planner = EmbeddingShardingPlanner(
                    topology=self.topology,
                    batch_size=self.rows,
                    enumerator=cast("Enumerator", Known(self.options)),
                    storage_reservation=FixedPercentageStorageReservation(0.0),
                    proposer=proposers,
                    stats=[],
                    constraints=self.constraints,
                    performance_model=Slowest(),
                    debug=False,
                    callbacks=[keep],
                )
                planner.plan(self.module, self.sharders)
        except PlannerError:
            return None
        return self._in_order(chosen[0])

    def _on_one(self) -> list[ShardingOption] | None:
        """Return everything on rank 0, which needs no planner."""
        needed, there = Storage(hbm=0, ddr=0), self.topology.devices[0].storage
        for option in self.options:
            option.shards[0].rank = 0
            needed += option.shards[0].storage
        return self._in_order(self.options) if needed.fits_in(there) else None

    def _in_order(self, options: list[ShardingOption]) -> list[ShardingOption]:
        place = {name: i for i, name in enumerate(self.loads)}
        return sorted(options, key=lambda option: place[option.name])


def _collections(loads: Sequence[TableLoad]) -> nn.ModuleDict:
    """Return tables of the same sizes as the loads, without memory."""
    by_collection: dict[str, list[EmbeddingBagConfig]] = {}
    for load in loads:
        config = EmbeddingBagConfig(
            name=load.name,
            num_embeddings=load.rows,
            embedding_dim=load.dim,
            feature_names=[f"{load.name}@{i}" for i in range(len(load.ids))],
            data_type=DataType[load.request.precision.upper()],
        )
        by_collection.setdefault(load.collection, []).append(config)
    meta = torch.device("meta")
    return nn.ModuleDict(
        {name: EmbeddingBagCollection(tables=tables, device=meta) for name, tables in by_collection.items()}
    )


def cached_bytes(held: int, rows: int, kernel: Kernel) -> int:
    """Return the bytes of a device's memory that a part takes whose rows, of `held` bytes, are the host's."""
    by_row, by_cached = _CACHE_BYTES
    return int(CACHED * held + rows * (by_row + CACHED * by_cached)) if kernel == "uvm_caching" else 0


class _Sharder(EmbeddingBagCollectionSharder):  # type: ignore[misc]
    """Offers what works, which on CPUs is more than TorchRec offers, and never data parallel."""

    def sharding_types(self, compute_device_type: str) -> list[str]:  # noqa: ARG002
        return list(SHARDINGS.values())


def codecs(communication: Communication) -> dict[str, QuantizedCommCodecs] | None:
    """Return how vectors and their gradients are written for the way between ranks; None: as they are.

    Gradients of 16 bits are always bfloat16: those of large batches are near 1e-7, where float16 rounds to nothing.
    """
    if communication == "fp32":
        return None
    kind = {"fp16": CommType.FP16, "bf16": CommType.BF16}[communication]
    found: dict[str, QuantizedCommCodecs] = get_qcomm_codecs_registry(QCommsConfig(kind, CommType.BF16))
    return found


def _order(option: ShardingOption) -> tuple[str, int, str]:
    return option.fqn, list(SHARDINGS.values()).index(option.sharding_type), option.compute_kernel


def _constraints(load: TableLoad, allowed: Candidates) -> ParameterConstraints:
    return ParameterConstraints(
        sharding_types=[SHARDINGS[shard] for shard in allowed.shards],
        compute_kernels=[KERNELS[allowed.kernel]],
        min_partition=allowed.width,
        pooling_factors=list(load.ids),
        num_poolings=list(load.bags),
        cache_params=CacheParams(load_factor=CACHED) if allowed.kernel == "uvm_caching" else None,
    )


def _topology(machine: Machine, usable: int) -> Topology:
    """Return the machine as TorchRec sees it, which reckons in bytes a millisecond."""
    is_cpu = machine.device == "cpu"
    return TopologyFactory.create_topology(
        TrainerConfig(
            world_size=machine.world,
            local_world_size=machine.per_host,
            hbm_cap_bytes=None if is_cpu else usable,
            ddr_cap_bytes=usable if is_cpu else machine.usable_host,
        ),
        HardwareConfig(
            intra_host_bw=machine.intra / 1000,
            inter_host_bw=machine.inter / 1000,
            hbm_mem_bw=machine.memory_speed / 1000,
            ddr_mem_bw=machine.host_speed / 1000,
            hbm_to_ddr_mem_bw=machine.link / 1000,
        ),
        KernelConfig(compute_device=machine.device, use_hardware_based_bandwidth=True),
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the planner's diary out of the user's: what matters of it is in the placement."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        yield
    finally:
        logging.disable(before)
