"""Who holds which part of which table, and what is said where nobody can."""

import os
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, distributed
from torchrec.distributed.embeddingbag import EmbeddingBagCollectionSharder
from torchrec.distributed.model_parallel import DistributedModelParallel
from torchrec.distributed.types import ShardingEnv

from recsys.config import Config, SparseOptimizer, resolve
from recsys.embeddings import FeatureVocabulary, Layout, Lookup, fuse_optimizer
from recsys.errors import ConfigError, ShardingError
from recsys.sharding import GPUS, Machine, Placement, place
from recsys.sharding.problem import PlanningProblem
from recsys.sharding.remedies import Remedy, remedies
from recsys.sharding.shards import can_deal, column_width
from recsys.sharding.table_load import loads_of
from tests.embeddings.tiny_tables import rows
from tests.ranks.run_on_ranks import run_on_ranks

GB = 10**9
BIG = {"user": 40_000_000, "item": 3_000_000, "tags": 3}
SMALL = {"user": 40, "item": 17, "tags": 5}
BATCH = rows(user=[0, 39, 7, 3], item=[1, 6, 0, 2], tags=[[], [4], [1, 1, 2], [0]], clicks=[[], [6, 1], [3], [2, 2]])


def layout_of(num_ids: dict[str, int], spec: dict[str, Any], *, dim: int = 16, jagged: bool = False) -> Layout:
    """A table for each of three vocabularies, all of them as `spec` says."""
    features = {"user": {"type": "id"}, "item": {"type": "id"}, "tags": {"type": "ids"}}
    features["clicks"] = {"type": "sequence", "of": "item"}
    tables = {f"t_{name}": {"features": [name], **spec} for name in num_ids}
    model = {"tower": "mlp", "dim": dim}
    train = {"sparse_optimizer": {"name": "adagrad"}}
    given = {"label": "y", "features": features, "tables": tables, "model": model, "train": train}
    config = Config.model_validate(given, strict=False)
    vocabularies = {name: FeatureVocabulary(name, size) for name, size in num_ids.items()}
    return Layout(resolve(config, []), vocabularies, jagged=jagged, regularized=False)


def placed(layout: Layout, machine: Machine, *, optimizer: str = "adagrad", **changes: Any) -> Placement:
    arguments: dict[str, Any] = {
        "machine": machine,
        "batch_size": 65_536,
        "optimizer": SparseOptimizer.model_validate({"name": optimizer}),
        "lengths": {"tags": 2.5, "clicks": 20.0},
        "dense_bytes": 20_000_000,
        **changes,
    }
    return place(layout, **arguments)


def cpus(world: int, per_host: int | None = None, memory: int = 16 * GB) -> Machine:
    machine = Machine.here(1, "cpu").of(world, per_host or world)
    return replace(machine, memory=memory, host_memory=memory * (per_host or world))


def shards(placement: Placement) -> dict[str, str]:
    return {table.name: table.shard for table in placement.tables}


@pytest.mark.parametrize("world", [2, 8, 16, 128])
@pytest.mark.parametrize("optimizer", ["rowwise_adagrad", "adagrad", "adam"])
def test_every_row_and_column_is_somewhere_once_and_memory_is_kept_to(world: int, optimizer: str) -> None:
    started = time.monotonic()
    placement = placed(layout_of(BIG, {}, dim=128), GPUS["a100-80"].of(world, min(world, 8)), optimizer=optimizer)
    for table in placement.tables:
        assert sum(part.rows * part.columns for part in table.parts) == table.rows * table.dim
        assert len({(part.row, part.column) for part in table.parts}) == len(table.parts)
        assert all(part.columns % 4 == 0 and part.rows > 0 and part.rank < world for part in table.parts)
        assert table.shard != "data_parallel"
        if optimizer == "rowwise_adagrad":
            assert all(part.columns == table.dim for part in table.parts)
    assert all(rank.memory_bytes <= placement.machine.usable for rank in placement.ranks)
    tables = sum(table.weight_bytes + table.state_bytes for table in placement.tables)
    assert sum(rank.table_bytes for rank in placement.ranks) == tables
    assert time.monotonic() - started < 30


def test_bytes_are_those_of_rows_and_state() -> None:
    (user, item, tags) = placed(layout_of(BIG, {}), GPUS["h100"].of(2, 2), optimizer="rowwise_adagrad").tables
    assert (user.weight_bytes, user.state_bytes) == (40_000_000 * 64, 40_000_000 * 4)
    assert (item.weight_bytes, item.state_bytes) == (3_000_000 * 64, 3_000_000 * 4)
    assert (tags.rows, tags.dim) == (3, 16)
    half = placed(layout_of(BIG, {"precision": "fp16"}), GPUS["h100"].of(2, 2)).tables[0]
    assert (half.weight_bytes, half.state_bytes) == (40_000_000 * 32, 40_000_000 * 64)  # the state stays in 32 bits


def test_one_process_has_everything_whole() -> None:
    placement = placed(layout_of(SMALL, {"sharding": "row_wise"}), cpus(1))
    assert {(table.shard, table.kernel, table.why) for table in placement.tables} == {
        ("table_wise", "ram", "one device")
    }
    assert [table.ranks for table in placement.tables] == [[0], [0], [0]]
    assert placement.ranks[0].wire.intra == placement.all_reduce_ms == 0


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("shard", ["table_wise", "row_wise", "column_wise", "table_row_wise", "grid"])
def test_a_sharding_that_is_asked_for_is_carried_out(shard: str, device: str) -> None:
    machine = cpus(8, 4) if device == "cpu" else GPUS["h100"].of(8, 4)
    placement = placed(layout_of({"user": 40_000, "item": 300, "tags": 80}, {"sharding": shard}), machine)
    assert {table.shard for table in placement.tables} == {shard}
    assert {table.why for table in placement.tables} == {"asked for"}


def test_a_placement_in_the_host_is_carried_out_on_cuda_and_nothing_on_cpus() -> None:
    layout = layout_of(BIG, {"placement": "uvm"})
    placement = placed(layout, GPUS["h100"].of(2, 2))
    assert {table.kernel for table in placement.tables} == {"uvm"}
    assert sum(rank.table_bytes for rank in placement.ranks) == 0
    assert sum(rank.host_bytes for rank in placement.ranks) > 5 * GB
    plan = placement.sharding_plan(Lookup(layout), path="lookup", device=torch.device("cuda"))
    assert {sharding.compute_kernel for sharding in plan.plan["lookup.pooled"].values()} == {"fused_uvm"}
    plan = placement.sharding_plan(Lookup(layout), path="lookup", device=torch.device("cpu"))
    assert {sharding.compute_kernel for sharding in plan.plan["lookup.pooled"].values()} == {"fused"}
    assert {table.kernel for table in placed(layout, cpus(2)).tables} == {"ram"}


def test_fewer_rows_than_ranks_stay_together() -> None:
    placement = placed(layout_of({"user": 3, "item": 10, "tags": 8}, {"sharding": "row_wise"}), cpus(8))
    assert shards(placement) == {"t_user_table": "table_wise", "t_item_table": "table_wise", "t_tags_table": "row_wise"}
    assert [table.why for table in placement.tables][:2] == [
        "asked for row_wise, but 3 rows cannot be dealt to 8 devices",
        "asked for row_wise, but 10 rows cannot be dealt to 8 devices",  # in blocks of 2, for which 5 are enough
    ]
    free = placed(layout_of({"user": 3, "item": 3, "tags": 3}, {}), cpus(8), optimizer="rowwise_adagrad")
    assert {(table.shard, table.why) for table in free.tables} == {
        ("table_wise", "3 rows cannot be dealt to 8 devices")
    }


def test_rows_are_dealt_in_equal_blocks() -> None:
    for ranks in (2, 3, 8):
        for number in range(1, 40):
            block = -(-number // ranks)
            assert can_deal(number, ranks) == (number > block * (ranks - 1))


def test_a_row_that_cannot_be_cut_is_refused() -> None:
    assert column_width(4, 2) is None
    layout = layout_of(SMALL, {"sharding": "column_wise"}, dim=4)
    with pytest.raises(ConfigError, match=r"^tables\.t_user\.sharding: column_wise needs rows of at least 8 floats"):
        placed(layout, cpus(2))
    layout = layout_of(SMALL, {"sharding": "grid"}, dim=16)
    with pytest.raises(ConfigError, match="take sparse_optimizer adagrad, or shard row_wise"):
        placed(layout, cpus(2), optimizer="rowwise_adagrad")


def test_a_table_that_a_scheme_needs_whole_is_not_cut() -> None:
    layout = layout_of(BIG, {}, dim=128)
    layout.requests = {name: request._replace(whole=True) for name, request in layout.requests.items()}
    placement = placed(layout, GPUS["h200"].of(16, 8))
    assert {(table.shard, table.why) for table in placement.tables} == {
        ("table_wise", "scheme full trains on the whole table")
    }


def test_json_is_read_back_as_it_was_written() -> None:
    placement = placed(layout_of(BIG, {}, dim=128), GPUS["h100"].of(16, 8))
    assert Placement.from_json(placement.to_json(), where="plan.json") == placement
    for text in ("", "{}", '{"version": 1}', "[1]", placement.to_json().replace('"parts"', '"party"')):
        with pytest.raises(ConfigError, match=r"^plan\.json: is no plan"):
            Placement.from_json(text, where="plan.json")


def test_a_replayed_plan_must_be_of_the_same_tables_and_ranks() -> None:
    layout = layout_of(SMALL, {"sharding": "column_wise"})
    placement = placed(layout, cpus(2))
    adagrad, rowwise = (SparseOptimizer.model_validate({"name": name}) for name in ("adagrad", "rowwise_adagrad"))
    placement.check(layout, adagrad, world=2, per_host=2, where="plan.json")
    with pytest.raises(ConfigError) as error:
        placement.check(layout_of({**SMALL, "item": 18}, {}), rowwise, world=4, per_host=4, where="plan.json")
    assert str(error.value).splitlines() == [
        "plan.json: the plan does not fit what is trained:",
        *(
            line
            for name in ("t_user_table", "t_item_table", "t_tags_table")
            for line in [
                *(["  t_item_table: rows x dim is 17 x 16 in the plan, 18 x 16 in the model"] * ("item" in name)),
                f"  {name}: is column_wise in the plan, and sparse_optimizer rowwise_adagrad has one state a row",
            ]
        ),
        "  it is for 2 ranks, and 4 train",
    ]


# --- what does not fit -----------------------------------------------------------------------------------------------


def case_of(num_ids: dict[str, int], spec: dict[str, Any], machine: Machine, optimizer: str) -> PlanningProblem:
    chosen = SparseOptimizer.model_validate({"name": optimizer})
    loads = loads_of(layout_of(num_ids, spec, dim=128), chosen, {"tags": 2.5, "clicks": 20.0})
    return PlanningProblem(loads=loads, machine=machine, batch_size=65_536, held_bytes=80_000_000, communication="fp32")


def applied(
    remedy: Remedy, num_ids: dict[str, int], spec: dict[str, Any], machine: Machine, optimizer: str
) -> Placement:
    """Plan again with one proposal carried out, from the configuration on."""
    changes: dict[str, dict[str, Any]] = {}
    if remedy.kind == "devices":
        number = int(remedy.values[0][1])
        machine = machine.of(number, min(8, number) if machine.device == "cuda" else machine.per_host)
    elif remedy.kind == "sparse_optimizer":
        optimizer = remedy.values[0][1]
    else:
        scheme = {"scheme": "hash"} if remedy.kind == "budget" else {}
        changes = {table: {remedy.kind: value, **scheme} for table, value in remedy.values}
    tables = {f"t_{name}": {"features": [name], **spec, **changes.get(f"t_{name}", {})} for name in num_ids}
    config = Config.model_validate(
        {
            "label": "y",
            "features": {"user": {"type": "id"}, "item": {"type": "id"}, "tags": {"type": "ids"}},
            "tables": tables,
            "model": {"tower": "mlp", "dim": 128},
            "train": {"sparse_optimizer": {"name": "adagrad"}},
        },
        strict=False,
    )
    vocabularies = {name: FeatureVocabulary(name, size) for name, size in num_ids.items()}
    layout = Layout(resolve(config, []), vocabularies, jagged=False, regularized=False)
    return placed(layout, machine, optimizer=optimizer, dense_bytes=20_000_000)


CASES: dict[str, tuple[dict[str, int], dict[str, Any], Machine, str, set[str]]] = {
    "one GPU": (
        {"user": 40_000_000, "item": 30_000_000, "tags": 100},
        {},
        GPUS["a100-40"],
        "adagrad",
        {"devices", "placement", "sparse_optimizer", "budget"},
    ),
    "one GPU, nearly": (
        {"user": 40_000_000, "item": 33_000_000, "tags": 100},
        {},
        GPUS["a100-40"],
        "rowwise_adagrad",
        {"devices", "placement", "precision", "budget"},
    ),
    "both must be halved": (
        {"user": 60_000_000, "item": 45_000_000, "tags": 100},
        {},
        GPUS["a100-40"],
        "rowwise_adagrad",
        {"devices", "placement", "precision", "budget"},
    ),
    "state is too much": (
        {"user": 40_000_000, "item": 1000, "tags": 100},
        {},
        GPUS["a100-40"],
        "adagrad",
        {"devices", "placement", "precision", "sparse_optimizer", "budget"},
    ),
    "whole on one of eight": (
        {"user": 90_000_000, "item": 1000, "tags": 100},
        {"sharding": "table_wise"},
        GPUS["a100-40"].of(8, 8),
        "rowwise_adagrad",
        {"sharding", "placement", "precision", "budget"},
    ),
    "two processes": (
        {"user": 40_000_000, "item": 30_000_000, "tags": 100},
        {},
        cpus(2, memory=32 * GB),
        "rowwise_adagrad",
        {"devices", "precision", "budget"},
    ),
}


@pytest.mark.parametrize("name", sorted(CASES))
def test_what_is_proposed_makes_the_tables_fit(name: str) -> None:
    num_ids, spec, machine, optimizer, kinds = CASES[name]
    with pytest.raises(ShardingError):
        placed(layout_of(num_ids, spec, dim=128), machine, optimizer=optimizer)
    found = list(remedies(case_of(num_ids, spec, machine, optimizer)))
    assert {remedy.kind for remedy in found} == kinds
    for remedy in found:
        placement = applied(remedy, num_ids, spec, machine, optimizer)
        assert all(rank.memory_bytes <= placement.machine.usable for rank in placement.ranks), remedy


def test_one_device_fewer_than_proposed_is_too_few() -> None:
    for num_rows, number, fewer in ((90_000_000, 4, (2, 2)), (10**9, 32, (24, 8))):
        case = case_of({"user": num_rows, "item": 30, "tags": 100}, {}, GPUS["a100-40"], "adagrad")
        assert next(remedies(case)) == Remedy("devices", (("", str(number)),))
        assert not case.on(GPUS["a100-40"].of(*fewer)).fits()


def test_the_message_names_the_table_its_bytes_and_what_would_help() -> None:
    layout = layout_of({"user": 90_000_000, "item": 1000, "tags": 100}, {"sharding": "table_wise"}, dim=128)
    with pytest.raises(ShardingError) as error:
        placed(layout, GPUS["a100-40"].of(8, 8), optimizer="rowwise_adagrad")
    first, *advice = str(error.value).splitlines()
    assert first.startswith("tables.t_user: 90,000,000 rows x 128 (fp32) need 46.")
    assert "of 42.9 GB, 15% are kept free" in first
    assert advice[:3] == [
        "any of these would make it fit:",
        "  sharding: row_wise for tables.t_user",
        "  placement: uvm for tables.t_user",
    ]


# --- carried out by TorchRec, on two processes -----------------------------------------------------------------------


class Tables(torch.nn.Module):
    def __init__(self, layout: Layout) -> None:
        super().__init__()
        self.lookup = Lookup(layout)

    def forward(self, batch: Any) -> Tensor:
        pooled, slots = self.lookup(batch)
        return torch.cat([found.values().flatten() for found in (pooled, slots) if found is not None])


def train_a_step(
    shard: str | None, precision: str, jagged: bool
) -> tuple[dict[str, list[tuple[int, ...]]], float, Tensor]:
    """Return the shapes of this rank's parts, the loss of the second step, and all rows of t_user after it."""
    os.environ.setdefault("LOCAL_WORLD_SIZE", str(distributed.get_world_size()))
    layout = layout_of(SMALL, {"sharding": shard, "precision": precision}, jagged=jagged)
    machine, adagrad = cpus(distributed.get_world_size()), SparseOptimizer(name="adagrad", lr=0.1)
    placement = placed(layout, machine, batch_size=8)
    module = Tables(layout)
    fuse_optimizer(module.lookup, adagrad)
    model = DistributedModelParallel(
        module,
        env=ShardingEnv.from_process_group(distributed.group.WORLD),
        device=torch.device("cpu"),
        plan=placement.sharding_plan(module.lookup, path="lookup", device=torch.device("cpu")),
        sharders=[EmbeddingBagCollectionSharder()],
    )
    state = {name: value for name, value in model.state_dict().items() if "embedding_bags" in name}
    with torch.no_grad():
        for value in state.values():
            for part in value.local_shards():
                first, column = part.metadata.shard_offsets
                ids = torch.arange(first, first + part.tensor.shape[0]).unsqueeze(1)
                part.tensor.copy_(0.01 * ids + 0.001 * torch.arange(column, column + part.tensor.shape[1]))
    batch = layout.collate(BATCH)
    loss = torch.zeros(())
    for _ in range(2):
        loss = (model(batch) - 1).square().mean()
        loss.backward()
    whole = torch.zeros(SMALL["user"], 16)
    for part in state["lookup.pooled.embedding_bags.t_user_table.weight"].local_shards():
        first, column = part.metadata.shard_offsets
        num_rows, num_columns = part.tensor.shape
        whole[first : first + num_rows, column : column + num_columns] = part.tensor.float()
    shapes = {
        name.split(".")[-2]: [tuple(p.tensor.shape) for p in value.local_shards()] for name, value in state.items()
    }
    return shapes, float(loss.detach()), whole


def large_plan() -> str:
    """Return a plan with many equal choices."""
    layout = layout_of({"user": 1_000_000, "item": 1_000_000, "tags": 1_000_000}, {}, dim=128)
    return placed(layout, GPUS["h100"].of(16, 8)).to_json()


SHARDS: list[str | None] = ["table_wise", "row_wise", "column_wise", "table_row_wise", None]
HALVES = {"row_wise": (20, 16), "table_row_wise": (20, 16), "column_wise": (40, 8)}


def train_all() -> dict[str, Any]:
    """Train with every sharding, and once with 16 bits and bags of one id."""
    found: dict[str, Any] = {str(shard): train_a_step(shard, "fp32", False) for shard in SHARDS}
    found["plan"] = large_plan()
    return {**found, "fp16": train_a_step("row_wise", "fp16", True)}


@pytest.fixture(scope="module")
def one() -> dict[str, Any]:
    (found,) = run_on_ranks(train_all, size=1)
    return found


@pytest.fixture(scope="module")
def both() -> list[dict[str, Any]]:
    return run_on_ranks(train_all)


@pytest.mark.parametrize("shard", SHARDS)
def test_two_ranks_train_as_placed(shard: str | None, one: dict[str, Any], both: list[dict[str, Any]]) -> None:
    held = [rank[str(shard)][0]["t_user_table"] for rank in both]
    if shard in HALVES:
        assert held == [[HALVES[shard]], [HALVES[shard]]]
    elif shard == "table_wise":
        assert sorted(len(parts) for parts in held) == [0, 1]
    _, loss, whole = one[str(shard)]
    for rank in both:
        assert rank[str(shard)][1] == pytest.approx(loss, abs=1e-6)  # both ranks have the batch of the one
    torch.testing.assert_close(both[0][str(shard)][2] + both[1][str(shard)][2], whole, rtol=0, atol=1e-6)


def test_the_same_arguments_give_the_same_placement(one: dict[str, Any], both: list[dict[str, Any]]) -> None:
    """In every process, although each hashes strings its own way."""
    assert len({large_plan(), one["plan"], *(rank["plan"] for rank in both)}) == 1


def test_two_ranks_train_rows_of_16_bits_and_bags_of_one_id(one: dict[str, Any], both: list[dict[str, Any]]) -> None:
    assert [rank["fp16"][0]["t_item_table"] for rank in both] == [[(9, 16)], [(8, 16)]]
    torch.testing.assert_close(both[0]["fp16"][2] + both[1]["fp16"][2], one["fp16"][2], rtol=0, atol=2e-3)


# --- bytes on the wire -----------------------------------------------------------------------------------------------


def wires(shard: str, make: Callable[[], Machine], **changes: Any) -> list[tuple[float, float]]:
    layout = layout_of({"user": 1000, "item": 1000, "tags": 1000}, {"sharding": shard})
    layout.pooled_keys = {"t_user_table": layout.pooled_keys["t_user_table"]}
    placement = placed(layout, make(), batch_size=1600, **changes)
    return [(rank.wire.intra, rank.wire.inter) for rank in placement.ranks]


def test_bytes_on_the_wire_are_those_of_ids_and_vectors() -> None:
    """800 rows on each of two ranks; a row reads one id and gets 16 floats."""
    ids, lengths, vectors = 800 * 8, 800 * 4, 800 * 16 * 4
    assert wires("table_wise", lambda: cpus(2)) == [(ids + lengths + 2 * vectors, 0.0)] * 2
    assert wires("row_wise", lambda: cpus(2)) == [(ids / 2 + lengths + 2 * vectors, 0.0)] * 2
    assert wires("column_wise", lambda: cpus(2)) == [(ids + lengths + 2 * vectors / 2, 0.0)] * 2
    halved = wires("table_wise", lambda: cpus(2), communication="bf16")
    assert halved == [(ids + lengths + vectors, 0.0)] * 2


def test_a_table_dealt_inside_a_host_sums_there_before_it_sends() -> None:
    """400 rows on each of four ranks of two hosts; the table is on both ranks of one of them."""
    ids, lengths, vectors = 400 * 8 / 2, 400 * 4, 400 * 16 * 4
    found = wires("table_row_wise", lambda: cpus(4, 2))
    # its ranks: ids from the neighbour, sums of the rows of both hosts' ranks; then the other host's over the wire
    holders = (ids + lengths + 2 * 2 * vectors, 2 * (ids + lengths) + 2 * vectors)
    others = (0.0, 2 * (ids + lengths) + 2 * vectors)
    assert sorted(found) == sorted([holders, holders, others, others])


def test_slots_are_counted_with_their_padding() -> None:
    layout = layout_of(SMALL, {}, jagged=True)
    (load,) = [load for load in loads_of(layout, SparseOptimizer(), {"clicks": 20.0}) if load.collection == "slots"]
    assert (load.name, load.all_ids, load.all_bags) == ("t_item_table", 21.0, 21.0)
