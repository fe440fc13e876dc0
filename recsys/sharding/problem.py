"""The planning problem: these tables on this machine, with this batch size."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from recsys.config import Communication
from recsys.sharding.candidates import candidates
from recsys.sharding.machine import Machine
from recsys.sharding.planner import Planner
from recsys.sharding.table_load import TableLoad

__all__ = ["PlanningProblem"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanningProblem:
    """Everything that a sharding plan depends on."""

    loads: Sequence[TableLoad]
    machine: Machine
    batch_size: int
    """Rows of a step over all devices."""
    dense_memory: int
    """Bytes of each device for the dense part of the model, its gradients and its optimizer."""
    communication: Communication
    """Precision of vectors and gradients that ranks exchange."""

    @property
    def exchanged_float_bytes(self) -> int:
        """Bytes of a float that ranks exchange."""
        return 4 if self.communication == "fp32" else 2

    @property
    def vector_bytes(self) -> int:
        """Bytes of a device for the vectors of its own rows of the batch, and for their gradients."""
        rows = -(-self.batch_size // self.machine.world_size)
        return int(2 * 4 * rows * sum(load.bags_per_row * load.dim for load in self.loads))

    @property
    def table_memory(self) -> int:
        """Bytes of each device that tables may take; on CPUs, half is reserved for the copy made by a checkpoint."""
        left = max(0, self.machine.usable - self.dense_memory - self.vector_bytes)
        return left // 2 if self.machine.device == "cpu" else left

    def planner(self) -> Planner:
        """Return a planner with the sharding options of all tables.

        Raises:
            ConfigError: A table cannot be sharded as its configuration asks.
        """
        return Planner(
            self.loads,
            [candidates(load, self.machine) for load in self.loads],
            self.machine,
            batch_size=self.batch_size,
            table_memory=self.table_memory,
            communication=self.communication,
        )

    def fits(self) -> bool:
        """Return whether there is a plan that fits into memory."""
        return self.planner().fits()

    def on(self, machine: Machine) -> "PlanningProblem":
        """Return the problem of the same tables on another machine."""
        return replace(self, machine=machine)

    def with_loads(
        self, change: Callable[[TableLoad], TableLoad], tables: Sequence[str] | None = None
    ) -> "PlanningProblem":
        """Return the problem with changed loads.

        Args:
            change: Applied to each load.
            tables: Tables of the configuration to change; all of them by default.
        """
        loads = [change(load) if tables is None or load.constraints.table in tables else load for load in self.loads]
        return replace(self, loads=loads)
