"""Parts of TorchRec's planner that differ here: its enumerator, its performance model, and one more proposer."""

from typing import Any

from torch import nn
from torchrec.distributed.planner.types import Enumerator, PerfModel, Proposer, ShardingOption

__all__ = ["FixedEnumerator", "MaxRankPerfModel", "SmallestShardProposer"]


class FixedEnumerator:
    """An enumerator that returns options which were made, and estimated, before."""

    def __init__(self, options: list[ShardingOption]) -> None:
        self.options = options
        self.last_stored_search_space = options

    def enumerate(self, module: nn.Module, sharders: Any) -> list[ShardingOption]:  # noqa: ARG002
        """Return the options."""
        return self.options

    def populate_estimates(self, options: list[ShardingOption]) -> None:
        """Do nothing: the options have their estimates."""


class MaxRankPerfModel(PerfModel):  # type: ignore[misc]
    """Rates a plan by the time of its slowest rank, and, to a hundredth, by that of all ranks.

    The second term decides between plans with equal slowest ranks, which are common: the slowest rank is often that of
    a single table which no choice changes.
    """

    def rate(self, plan: list[ShardingOption]) -> float:
        """Return the rating in milliseconds; lower is better."""
        by_rank: dict[int, float] = {}
        for shard in (shard for option in plan for shard in option.shards):
            by_rank[shard.rank] = by_rank.get(shard.rank, 0.0) + shard.perf.total
        return max(by_rank.values()) + 0.01 * sum(by_rank.values())


class SmallestShardProposer(Proposer):  # type: ignore[misc]
    """Proposes a single plan: for each table the option whose largest shard is the smallest.

    If any plan fits into memory, it is likely to be this one.
    """

    def load(self, search_space: list[ShardingOption], enumerator: Enumerator | None = None) -> None:  # noqa: ARG002
        """Choose the option of each table."""
        best: dict[str, ShardingOption] = {}
        for option in search_space:
            known = best.get(option.fqn)
            if known is None or _largest_shard(option) < _largest_shard(known):
                best[option.fqn] = option
        self._proposal: list[ShardingOption] | None = list(best.values())

    def propose(self) -> list[ShardingOption] | None:
        """Return the plan, and None once it has been tried."""
        return self._proposal

    def feedback(self, partitionable: bool, *_: Any, **__: Any) -> None:  # noqa: ARG002
        """Take note that the plan has been tried."""
        self._proposal = None


def _largest_shard(option: ShardingOption) -> int:
    """Return the bytes of an option's largest shard."""
    most: int = max(shard.storage.hbm + shard.storage.ddr for shard in option.shards)
    return most
