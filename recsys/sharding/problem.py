"""One question to the planner: these tables on this machine, with this batch."""

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
    """What a placement depends on."""

    loads: Sequence[TableLoad]
    machine: Machine
    batch_size: int
    """Rows of a step over all devices."""
    held_bytes: int
    """Of each device, for the dense part and its optimiser."""
    communication: Communication

    @property
    def float_bytes(self) -> int:
        """Bytes of a float on the wire."""
        return 4 if self.communication == "fp32" else 2

    @property
    def vector_bytes(self) -> int:
        """Bytes of the vectors of a device's own rows, and of their gradients."""
        rows = -(-self.batch_size // self.machine.world)
        return int(2 * 4 * rows * sum(load.all_bags * load.dim for load in self.loads))

    @property
    def room(self) -> int:
        """Bytes of a device that tables may take; on CPUs half of what is left: a checkpoint is written from a copy."""
        left = max(0, self.machine.usable - self.held_bytes - self.vector_bytes)
        return left // 2 if self.machine.device == "cpu" else left

    def planner(self) -> Planner:
        """Return the planner with the options of all tables.

        Raises:
            ConfigError: a table cannot be sharded as it is asked to be.
        """
        allowed = [candidates(load, self.machine) for load in self.loads]
        return Planner(
            self.loads,
            allowed,
            self.machine,
            batch_size=self.batch_size,
            room=self.room,
            communication=self.communication,
        )

    def fits(self) -> bool:
        """Tell whether there is a placement."""
        return self.planner().fits()

    def on(self, machine: Machine) -> "PlanningProblem":
        """Return the same tables on another machine."""
        return replace(self, machine=machine)

    def changed(
        self, change: Callable[[TableLoad], TableLoad], tables: Sequence[str] | None = None
    ) -> "PlanningProblem":
        """Return the case with some of the configuration's tables changed, all of them by default."""
        loads = [change(load) if tables is None or load.request.table in tables else load for load in self.loads]
        return replace(self, loads=loads)
