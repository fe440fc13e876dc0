"""A sharding plan: which rank holds which shard of which table, why, and what a step costs.

A plan is saved as JSON, checked against the model it is to be carried out for, and handed to TorchRec.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torchrec.distributed.sharding_plan import placement as torchrec_placement
from torchrec.distributed.types import (
    CacheParams,
    EmbeddingModuleShardingPlan,
    EnumerableShardingSpec,
    ParameterSharding,
    ShardMetadata,
)
from torchrec.distributed.types import ShardingPlan as TorchRecShardingPlan

from recsys.checksums import with_checksum, without_checksum
from recsys.config import SparseOptimizer
from recsys.embeddings.layout import Layout
from recsys.errors import ConfigError
from recsys.sharding.constraints import TableConstraints, table_constraints
from recsys.sharding.machine import Machine
from recsys.sharding.plan_version_1 import from_version_1
from recsys.sharding.planner import CACHE_LOAD_FACTOR, COMPUTE_KERNELS, SHARDING_TYPES
from recsys.sharding.table_sharding import TableShard, TableSharding
from recsys.sharding.traffic import RankTraffic

__all__ = ["RankCost", "ShardingPlan"]

_VERSION = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class RankCost:
    """Memory and estimated time of one rank."""

    table_bytes: int
    """Bytes of device memory for rows and optimizer state."""
    host_bytes: int
    """Bytes of host memory for rows and optimizer state (uvm)."""
    other_bytes: int
    """Bytes of device memory for the dense part and all buffers."""
    lookup_ms: float
    """Milliseconds of a step that are spent on reading and updating rows, as TorchRec's performance model estimates."""
    traffic: RankTraffic
    """Ids, vectors and gradients that the rank exchanges in a step."""

    @property
    def memory_bytes(self) -> int:
        """Bytes of device memory."""
        return self.table_bytes + self.other_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardingPlan:
    """The sharding of all tables, and what each rank holds and does."""

    machine: Machine
    batch_size: int
    """Rows of a step over all ranks."""
    optimizer: str
    """Name of the sparse optimizer."""
    dense_gradient_bytes: int
    """Bytes of the gradients that are summed over all ranks in a step."""
    all_reduce_traffic: RankTraffic
    tables: tuple[TableSharding, ...]
    ranks: tuple[RankCost, ...]

    @property
    def lookup_ms(self) -> float:
        """Milliseconds of the slowest rank's lookups in a step."""
        return max(rank.lookup_ms for rank in self.ranks)

    @property
    def communication_ms(self) -> float:
        """Milliseconds that the busiest rank's ids, vectors and gradients take in a step."""
        return max(rank.traffic.ms(self.machine) for rank in self.ranks)

    @property
    def all_reduce_ms(self) -> float:
        """Milliseconds that the sum of the dense gradients takes in a step."""
        return self.all_reduce_traffic.ms(self.machine)

    def to_json(self) -> str:
        """Return the plan as JSON, which `from_json` reads."""
        return json.dumps(with_checksum({"version": _VERSION, **asdict(self)}), indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes, *, where: str) -> "ShardingPlan":
        """Return the plan that `to_json` wrote, now or in version 1 of the file.

        Args:
            text: Contents of the file.
            where: Name of the file, for messages.

        Raises:
            ConfigError: The text is not a plan, or one of a later version.
            DataError: It is not what was written.
        """
        try:
            found = json.loads(text)
            if found["version"] not in (1, _VERSION):
                raise ConfigError(f"{where}: was written by another version; make the plan again with `recsys plan`")
            values = without_checksum(found, Path(where), remedy="make the plan again with `recsys plan`")
            version = values.pop("version")
            return cls._from_values(from_version_1(values) if version == 1 else values)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise ConfigError(f"{where}: is no plan that `recsys plan --out` wrote ({error!r})") from error

    @classmethod
    def _from_values(cls, values: dict[str, Any]) -> "ShardingPlan":
        tables = [
            {**table, "shards": tuple(TableShard(**shard) for shard in table["shards"])}
            for table in values.pop("tables")
        ]
        ranks = [{**rank, "traffic": RankTraffic(**rank["traffic"])} for rank in values.pop("ranks")]
        return cls(
            machine=Machine(**values.pop("machine")),
            all_reduce_traffic=RankTraffic(**values.pop("all_reduce_traffic")),
            tables=tuple(TableSharding(**table) for table in tables),
            ranks=tuple(RankCost(**rank) for rank in ranks),
            **values,
        )

    def check(
        self, layout: Layout, optimizer: SparseOptimizer, *, world_size: int, local_world_size: int, where: str
    ) -> None:
        """Check that the plan is for these tables and ranks.

        Args:
            layout: Layout of the model to be trained.
            optimizer: Optimizer of its tables.
            world_size: Number of ranks.
            local_world_size: Number of ranks on each host.
            where: File of the plan, for the message.

        Raises:
            ConfigError: Something differs; the message lists all of it.
        """
        planned = {table.name: table for table in self.tables}
        used = [*layout.pooled_keys, *layout.unpooled_keys]
        constraints = table_constraints(layout)
        found = [f"{name}: is in the plan, but not in the model" for name in planned if name not in used]
        found += [f"{name}: is in the model, but not in the plan" for name in used if name not in planned]
        for name in used:
            if name in planned:
                found += _differences(planned[name], layout, constraints[name], optimizer)
        found += self._rank_differences(world_size, local_world_size)
        if found:
            raise ConfigError(f"{where}: the plan does not fit what is trained:\n  " + "\n  ".join(found))

    def _rank_differences(self, world_size: int, local_world_size: int) -> list[str]:
        found, machine = [], self.machine
        if machine.world_size != world_size:
            found.append(f"it is for {machine.world_size} ranks, and {world_size} train")
        sharding_types = {table.sharding for table in self.tables}
        # On CUDA, devices are numbered within their host.
        depends_on_hosts = machine.device == "cuda" or sharding_types & {"table_row_wise", "grid"}
        if depends_on_hosts and machine.local_world_size != local_world_size:
            found.append(f"it is for {machine.local_world_size} ranks on a host, and {local_world_size} are")
        return found

    def to_torchrec(self, lookup: nn.Module, *, path: str, device: torch.device) -> TorchRecShardingPlan:
        """Return the plan as DistributedModelParallel takes it.

        Args:
            lookup: Module whose children are the collections that the plan names.
            path: Path of that module in the model.
            device: Device of this rank; on CPUs all rows are in the same memory.
        """
        modules: dict[str, EmbeddingModuleShardingPlan] = {}
        for table in self.tables:
            assert getattr(lookup, table.collection) is not None, f"{table.name}: the lookup has no {table.collection}"
            module = modules.setdefault(f"{path}.{table.collection}", EmbeddingModuleShardingPlan())
            module[table.name] = _parameter_sharding(table, device.type, self.machine.local_world_size)
        return TorchRecShardingPlan(modules)


def _parameter_sharding(table: TableSharding, device: str, local_world_size: int) -> ParameterSharding:
    kernel = table.kernel if device == "cuda" and table.kernel != "ram" else "hbm"
    shards = [
        ShardMetadata(
            shard_offsets=[shard.first_row, shard.first_column],
            shard_sizes=[shard.num_rows, shard.num_columns],
            placement=torchrec_placement(device, shard.rank, local_world_size),
        )
        for shard in table.shards
    ]
    return ParameterSharding(
        sharding_type=SHARDING_TYPES[table.sharding],
        compute_kernel=COMPUTE_KERNELS[kernel],
        ranks=[shard.rank for shard in table.shards],
        sharding_spec=EnumerableShardingSpec(shards),
        cache_params=CacheParams(load_factor=CACHE_LOAD_FACTOR) if kernel == "uvm_caching" else None,
    )


def _differences(
    planned: TableSharding, layout: Layout, constraints: TableConstraints, optimizer: SparseOptimizer
) -> list[str]:
    """Return one sentence for each difference between a table of the plan and the model's."""
    name, found = planned.name, []
    physical = layout.physical_tables[name]
    facts: Mapping[str, tuple[Any, Any]] = {
        "rows x dim": (f"{planned.rows} x {planned.dim}", f"{physical.rows} x {physical.dim}"),
        "precision": (planned.precision, constraints.precision),
        "lookup": (planned.collection, "pooled" if name in layout.pooled_keys else "unpooled"),
    }
    found += [f"{name}: {fact} is {a} in the plan, {b} in the model" for fact, (a, b) in facts.items() if a != b]
    if constraints.needs_whole_table and planned.sharding != "table_wise":
        found.append(
            f"{name}: is {planned.sharding} in the plan; scheme {constraints.scheme} trains on the whole table"
        )
    if planned.sharding in ("column_wise", "grid") and optimizer.name == "rowwise_adagrad":
        found.append(
            f"{name}: is {planned.sharding} in the plan, and sparse_optimizer rowwise_adagrad has one state a row"
        )
    return found
