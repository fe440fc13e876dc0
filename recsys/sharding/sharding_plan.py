"""A finished plan: who holds what, why, and what a step costs; saved as JSON, and carried out by TorchRec."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import nn
from torchrec.distributed.sharding_plan import placement as device_of
from torchrec.distributed.types import (
    CacheParams,
    EmbeddingModuleShardingPlan,
    EnumerableShardingSpec,
    ParameterSharding,
    ShardingPlan,
    ShardMetadata,
)

from recsys.config import SparseOptimizer
from recsys.embeddings.layout import Layout
from recsys.errors import ConfigError
from recsys.sharding.machine import Machine
from recsys.sharding.planner import CACHED, KERNELS, SHARDINGS
from recsys.sharding.shards import Part, TableSharding
from recsys.sharding.traffic import Wire

__all__ = ["Placement", "RankCost"]

_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class RankCost:
    """What is on one rank, and what it does in a step."""

    table_bytes: int
    """In the device's memory: rows and the optimiser's state."""
    host_bytes: int
    """The same in the host's memory (uvm)."""
    other_bytes: int
    """In the device's memory: the dense part and all buffers."""
    lookup_ms: float
    """Reading and updating rows, by TorchRec's estimate."""
    wire: Wire
    """Of ids, vectors and their gradients."""

    @property
    def memory_bytes(self) -> int:
        """Bytes of the device's memory."""
        return self.table_bytes + self.other_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where every table is, and what each rank has of it."""

    machine: Machine
    batch_size: int
    """Rows of a step over all ranks."""
    optimizer: str
    dense_bytes: int
    """Of the gradients that all ranks sum."""
    dense_wire: Wire
    tables: tuple[TableSharding, ...]
    ranks: tuple[RankCost, ...]

    @property
    def lookup_ms(self) -> float:
        """Milliseconds of the slowest rank's lookups in a step."""
        return max(rank.lookup_ms for rank in self.ranks)

    @property
    def communication_ms(self) -> float:
        """Milliseconds in which the busiest rank's ids, vectors and gradients travel."""
        return max(rank.wire.ms(self.machine) for rank in self.ranks)

    @property
    def all_reduce_ms(self) -> float:
        """Milliseconds in which the dense gradients are summed."""
        return self.dense_wire.ms(self.machine)

    def to_json(self) -> str:
        """Write the placement as text that `from_json` reads."""
        return json.dumps({"version": _VERSION, **asdict(self)}, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str, *, where: str) -> "Placement":
        """Read what `to_json` wrote.

        Raises:
            ConfigError: it is no plan; `where` names the file.
        """
        try:
            facts = json.loads(text)
            if facts.pop("version") != _VERSION:
                raise ConfigError(f"{where}: was written by another version; make the plan again with `recsys plan`")
            tables = [{**t, "parts": tuple(Part(**part) for part in t["parts"])} for t in facts.pop("tables")]
            ranks = [{**rank, "wire": Wire(**rank["wire"])} for rank in facts.pop("ranks")]
            return cls(
                machine=Machine(**facts.pop("machine")),
                dense_wire=Wire(**facts.pop("dense_wire")),
                tables=tuple(TableSharding(**table) for table in tables),
                ranks=tuple(RankCost(**rank) for rank in ranks),
                **facts,
            )
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ConfigError(f"{where}: is no plan that `recsys plan --out` wrote ({error!r})") from error

    def check(self, layout: Layout, optimizer: SparseOptimizer, *, world: int, per_host: int, where: str) -> None:
        """Refuse to be carried out for other tables or ranks than it was made for.

        Args:
            layout: of the model to be trained.
            optimizer: of its tables.
            world: ranks.
            per_host: ranks on each host.
            where: file of the plan, for the message.

        Raises:
            ConfigError: something differs; the message lists all of it.
        """
        planned = {table.name: table for table in self.tables}
        used = [*layout.pooled_keys, *layout.slot_keys]
        found = [f"{name}: is in the plan, but not in the model" for name in planned if name not in used]
        found += [f"{name}: is in the model, but not in the plan" for name in used if name not in planned]
        for name in used:
            if name in planned:
                found += _differences(planned[name], layout, optimizer)
        if self.machine.world != world:
            found.append(f"it is for {self.machine.world} ranks, and {world} train")
        shards = {table.shard for table in self.tables}
        depends = self.machine.device == "cuda" or shards & {"table_row_wise", "grid"}  # on CUDA, devices are numbered
        if depends and self.machine.per_host != per_host:
            found.append(f"it is for {self.machine.per_host} ranks on a host, and {per_host} are")
        if found:
            raise ConfigError(f"{where}: the plan does not fit what is trained:\n  " + "\n  ".join(found))

    def sharding_plan(self, lookup: nn.Module, *, path: str, device: torch.device) -> ShardingPlan:
        """Return the plan as DistributedModelParallel takes it.

        Args:
            lookup: with a collection of tables under each of the names that tables' placements have.
            path: where the lookup lives in the model.
            device: of this rank; CPUs have only one kind of memory.
        """
        modules: dict[str, EmbeddingModuleShardingPlan] = {}
        for table in self.tables:
            assert getattr(lookup, table.collection) is not None, f"{table.name}: the lookup has no {table.collection}"
            module = modules.setdefault(f"{path}.{table.collection}", EmbeddingModuleShardingPlan())
            module[table.name] = _parameter_sharding(table, device.type, self.machine.per_host)
        return ShardingPlan(modules)


def _parameter_sharding(table: TableSharding, device: str, per_host: int) -> ParameterSharding:
    kernel = table.kernel if device == "cuda" and table.kernel != "ram" else "hbm"
    shards = [
        ShardMetadata(
            shard_offsets=[part.row, part.column],
            shard_sizes=[part.rows, part.columns],
            placement=device_of(device, part.rank, per_host),
        )
        for part in table.parts
    ]
    return ParameterSharding(
        sharding_type=SHARDINGS[table.shard],
        compute_kernel=KERNELS[kernel],
        ranks=[part.rank for part in table.parts],
        sharding_spec=EnumerableShardingSpec(shards),
        cache_params=CacheParams(load_factor=CACHED) if kernel == "uvm_caching" else None,
    )


def _differences(planned: TableSharding, layout: Layout, optimizer: SparseOptimizer) -> list[str]:
    physical, request = layout.physical[planned.name], layout.requests[planned.name]
    name, found = planned.name, []
    facts: Mapping[str, tuple[Any, Any]] = {
        "rows x dim": (f"{planned.rows} x {planned.dim}", f"{physical.rows} x {physical.dim}"),
        "precision": (planned.precision, request.precision),
        "lookup": (planned.collection, "pooled" if name in layout.pooled_keys else "slots"),
    }
    found += [f"{name}: {fact} is {a} in the plan, {b} in the model" for fact, (a, b) in facts.items() if a != b]
    if request.whole and planned.shard != "table_wise":
        found.append(f"{name}: is {planned.shard} in the plan; scheme {request.scheme} trains on the whole table")
    if planned.shard in ("column_wise", "grid") and optimizer.name == "rowwise_adagrad":
        found.append(
            f"{name}: is {planned.shard} in the plan, and sparse_optimizer rowwise_adagrad has one state a row"
        )
    return found
