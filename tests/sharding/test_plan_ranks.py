"""TorchRec carries a sharding plan out: two ranks train as one process does."""

import os
from typing import Any

import pytest
import torch
from torch import Tensor, distributed
from torchrec.distributed.embeddingbag import EmbeddingBagCollectionSharder
from torchrec.distributed.model_parallel import DistributedModelParallel
from torchrec.distributed.types import ShardingEnv

from recsys.config import SparseOptimizer
from recsys.embeddings import Lookup, fuse_optimizer
from recsys.sharding import GPUS
from recsys.testing.tiny_tables import rows
from tests.ranks.run_on_ranks import run_on_ranks
from tests.sharding.plans import SMALL, cpus, make_layout, make_plan

pytestmark = pytest.mark.ranks

BATCH = rows(user=[0, 39, 7, 3], item=[1, 6, 0, 2], tags=[[], [4], [1, 1, 2], [0]], clicks=[[], [6, 1], [3], [2, 2]])
SHARDINGS: list[str | None] = ["table_wise", "row_wise", "column_wise", "table_row_wise", None]
HALVES = {"row_wise": (20, 16), "table_row_wise": (20, 16), "column_wise": (40, 8)}
"""Shape of a rank's shard of the user's table."""


class Tables(torch.nn.Module):
    def __init__(self, lookup: Lookup) -> None:
        super().__init__()
        self.lookup = lookup

    def forward(self, batch: Any) -> Tensor:
        pooled, unpooled = self.lookup(batch)
        return torch.cat([found.values().flatten() for found in (pooled, unpooled) if found is not None])


def train_two_steps(
    sharding: str | None, precision: str, jagged: bool
) -> tuple[dict[str, list[tuple[int, ...]]], float, Tensor]:
    """Return the shapes of this rank's shards, the loss of the second step, and all rows of t_user after it."""
    os.environ.setdefault("LOCAL_WORLD_SIZE", str(distributed.get_world_size()))
    layout = make_layout(SMALL, {"sharding": sharding, "precision": precision}, jagged=jagged)
    machine, adagrad = cpus(distributed.get_world_size()), SparseOptimizer(name="adagrad", lr=0.1)
    plan = make_plan(layout, machine, batch_size=8)
    module = Tables(Lookup(layout))
    fuse_optimizer(module.lookup, adagrad)
    model = DistributedModelParallel(
        module,
        env=ShardingEnv.from_process_group(distributed.group.WORLD),
        device=torch.device("cpu"),
        plan=plan.to_torchrec(module.lookup, path="lookup", device=torch.device("cpu")),
        sharders=[EmbeddingBagCollectionSharder()],
    )
    state = {name: value for name, value in model.state_dict().items() if "embedding_bags" in name}
    fill(state)
    batch = layout.collate(BATCH)
    loss = torch.zeros(())
    for _ in range(2):
        loss = (model(batch) - 1).square().mean()
        loss.backward()
    whole = torch.zeros(SMALL["user"], 16)
    for shard in state["lookup.pooled.embedding_bags.t_user_table.weight"].local_shards():
        first, column = shard.metadata.shard_offsets
        num_rows, num_columns = shard.tensor.shape
        whole[first : first + num_rows, column : column + num_columns] = shard.tensor.float()
    shapes = {
        name.split(".")[-2]: [tuple(s.tensor.shape) for s in value.local_shards()] for name, value in state.items()
    }
    return shapes, float(loss.detach()), whole


def fill(state: dict[str, Any]) -> None:
    """Set every weight to a value that depends on its row and column in the whole table."""
    with torch.no_grad():
        for value in state.values():
            for shard in value.local_shards():
                first, column = shard.metadata.shard_offsets
                ids = torch.arange(first, first + shard.tensor.shape[0]).unsqueeze(1)
                shard.tensor.copy_(0.01 * ids + 0.001 * torch.arange(column, column + shard.tensor.shape[1]))


def large_plan() -> str:
    """Return a plan with many equal choices, as JSON."""
    layout = make_layout({"user": 1_000_000, "item": 1_000_000, "tags": 1_000_000}, {}, dim=128)
    return make_plan(layout, GPUS["h100"].with_devices(16, 8)).to_json()


def train_all() -> dict[str, Any]:
    """Train with every sharding type, and once with 16 bits and bags of one id."""
    found: dict[str, Any] = {str(sharding): train_two_steps(sharding, "fp32", False) for sharding in SHARDINGS}
    found["plan"] = large_plan()
    return {**found, "fp16": train_two_steps("row_wise", "fp16", True)}


@pytest.fixture(scope="module")
def one() -> dict[str, Any]:
    (found,) = run_on_ranks(train_all, size=1)
    return found


@pytest.fixture(scope="module")
def both() -> list[dict[str, Any]]:
    return run_on_ranks(train_all)


@pytest.mark.parametrize("sharding", SHARDINGS)
def test_two_ranks_train_as_one_process_does(
    sharding: str | None, one: dict[str, Any], both: list[dict[str, Any]]
) -> None:
    held = [rank[str(sharding)][0]["t_user_table"] for rank in both]
    if sharding in HALVES:
        assert held == [[HALVES[sharding]], [HALVES[sharding]]]
    elif sharding == "table_wise":
        assert sorted(len(shards) for shards in held) == [0, 1]
    _, loss, whole = one[str(sharding)]
    for rank in both:
        assert rank[str(sharding)][1] == pytest.approx(loss, abs=1e-6)  # both ranks have the batch of the one
    torch.testing.assert_close(both[0][str(sharding)][2] + both[1][str(sharding)][2], whole, rtol=0, atol=1e-6)


def test_the_same_arguments_give_the_same_plan_in_every_process(
    one: dict[str, Any], both: list[dict[str, Any]]
) -> None:
    """Although each process hashes strings in its own way."""
    assert len({large_plan(), one["plan"], *(rank["plan"] for rank in both)}) == 1


def test_two_ranks_train_rows_of_16_bits_and_bags_of_one_id(one: dict[str, Any], both: list[dict[str, Any]]) -> None:
    assert [rank["fp16"][0]["t_item_table"] for rank in both] == [[(9, 16)], [(8, 16)]]
    torch.testing.assert_close(both[0]["fp16"][2] + both[1]["fp16"][2], one["fp16"][2], rtol=0, atol=2e-3)
