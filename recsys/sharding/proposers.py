"""How TorchRec's planner searches here: options that are there already, one plan that must fit, fair ratings."""

from typing import Any

from torch import nn
from torchrec.distributed.planner.types import Enumerator, PerfModel, Proposer, ShardingOption

__all__ = ["Known", "Slowest", "Tightest"]


class Known:
    """An enumerator whose options are there already."""

    def __init__(self, options: list[ShardingOption]) -> None:
        self.options = options
        self.last_stored_search_space = options

    def enumerate(self, module: nn.Module, sharders: Any) -> list[ShardingOption]:  # noqa: ARG002
        return self.options

    def populate_estimates(self, options: list[ShardingOption]) -> None:
        """They have theirs."""


class Slowest(PerfModel):  # type: ignore[misc]
    """Rates a plan by its slowest rank, and between equals by all of them: the slowest is often one tiny table's."""

    def rate(self, plan: list[ShardingOption]) -> float:
        by_rank: dict[int, float] = {}
        for shard in (shard for option in plan for shard in option.shards):
            by_rank[shard.rank] = by_rank.get(shard.rank, 0.0) + shard.perf.total
        return max(by_rank.values()) + 0.01 * sum(by_rank.values())


class Tightest(Proposer):  # type: ignore[misc]
    """Proposes one plan: of each table the option whose largest part is the smallest."""

    def load(self, search_space: list[ShardingOption], enumerator: Enumerator | None = None) -> None:  # noqa: ARG002
        best: dict[str, ShardingOption] = {}
        for option in search_space:
            known = best.get(option.fqn)
            if known is None or _most(option) < _most(known):
                best[option.fqn] = option
        self._proposal: list[ShardingOption] | None = list(best.values())

    def propose(self) -> list[ShardingOption] | None:
        return self._proposal

    def feedback(self, partitionable: bool, *_: Any, **__: Any) -> None:  # noqa: ARG002
        self._proposal = None


def _most(option: ShardingOption) -> int:
    most: int = max(shard.storage.hbm + shard.storage.ddr for shard in option.shards)
    return most
