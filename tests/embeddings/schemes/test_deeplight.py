import math
from typing import Any

import pytest
import torch
from torch import Tensor

from recsys.config import ResolvedTable
from recsys.config.schemes.deeplight import DeepLightTable
from recsys.config.schemes.full import FullTable
from recsys.embeddings.budget import full_bytes, solve_budget
from recsys.embeddings.build import build_schemes
from recsys.embeddings.scheme import StageStep, tensor_bytes
from recsys.embeddings.schemes import deeplight
from recsys.embeddings.schemes.deeplight import CompressedRows, Coordinates, DeepLight, largest, limit_of
from recsys.embeddings.schemes.full import Full
from recsys.errors import ConfigError
from recsys.export import script
from tests.embeddings.public_data import AVAZU, CRITEO, vocabularies

NUM_IDS, DIM = 500, 16


def planned(*, dim: int = DIM, **keys: Any) -> ResolvedTable:
    spec = DeepLightTable.model_validate({"features": ("*",), "scheme": "deeplight", **keys})
    return ResolvedTable(name="t", fields=("*",), dim=dim, spec=spec)


def make(density: float, *, sizes: list[int] | None = None, ramp: int | None = None, dim: int = DIM) -> DeepLight:
    spec = DeepLightTable(features=("*",), scheme="deeplight", density=density, ramp=ramp)
    return DeepLight("t", vocabularies(sizes or [NUM_IDS]), dim, spec)


def normal(num_rows: int = NUM_IDS, *, dim: int = DIM) -> dict[str, Tensor]:
    return {"t_table": torch.randn(num_rows, dim, generator=torch.Generator().manual_seed(0))}


def share_of_zeros(weights: dict[str, Tensor]) -> float:
    weight = weights["t_table"]
    return 1 - int(weight.count_nonzero()) / weight.numel()


@pytest.mark.parametrize("sizes", [CRITEO, AVAZU], ids=["criteo", "avazu"])
@pytest.mark.parametrize(("budget", "density"), [(0.5, 0.21875), (0.25, 0.09375), (0.1, 0.03333), (0.01, 0.00333)])
def test_densities_are_those_of_the_benchmark(sizes: list[int], budget: float, density: float) -> None:
    spec = solve_budget(planned(budget=budget), vocabularies(sizes))
    assert isinstance(spec, DeepLightTable)
    assert spec.density == pytest.approx(density, abs=1e-5)
    allowed = (full_bytes(vocabularies(sizes), DIM) or 0) * budget
    one_more = spec.model_copy(update={"density": (spec.density or 0) + 1 / (sum(sizes) * DIM)})
    assert (
        DeepLight.size_for(vocabularies(sizes), DIM, spec)
        <= allowed
        < DeepLight.size_for(vocabularies(sizes), DIM, one_more)
    )


def test_a_budget_below_one_weight_names_the_floor() -> None:
    with pytest.raises(ConfigError, match=r"deeplight cannot be made as small as 8 B; the least it can be is 12 B"):
        build_schemes(planned(budget="8B"), vocabularies([100]))


def test_more_weights_than_pointers_can_count_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"tables\.t: scheme deeplight keeps at most 2,147,483,647 weights"):
        build_schemes(planned(density=0.4), vocabularies([10**10]))
    spec = solve_budget(planned(budget=0.4), vocabularies([10**10]))
    assert isinstance(spec, DeepLightTable)
    assert round((spec.density or 0) * 16 * 10**10) == 2**31 - 1


@pytest.mark.parametrize("density", [0.001, 0.05, 0.0625, 0.07, 0.3])
def test_bytes_are_those_of_the_exported_entries(density: float) -> None:
    table, weights = make(density), normal()
    table.next_stage(weights)
    table.before_validation(weights)
    assert table.serving_bytes() == tensor_bytes(table.serving(weights))
    assert int((weights["t_table"] != 0).sum()) == table.num_entries == round(density * NUM_IDS * DIM)


def test_zeros_are_stored_where_too_few_weights_are_left() -> None:
    table = make(0.1, sizes=[10])
    weights = {"t_table": torch.zeros(10, DIM)}
    weights["t_table"][3, 5] = -2.0
    exported = table.serving(weights)
    assert table.serving_bytes() == tensor_bytes(exported) == 4 * (2 * 16 + 11)
    assert torch.equal(exported(torch.arange(10), 0), weights["t_table"])


def test_tables_that_would_not_become_smaller_stay_plain() -> None:
    (table,) = build_schemes(planned(density=0.5), vocabularies([100]))  # CSR of half of the weights is as large as all
    assert type(table) is Full
    (table,) = build_schemes(planned(density=0.4), vocabularies([100]))
    assert type(table) is DeepLight


def test_training_takes_more_bytes_than_serving() -> None:
    table = make(0.1)
    flag = 1
    assert table.bytes("training", sparse="sgd", dense="adam") == 4 * NUM_IDS * DIM + flag
    assert table.bytes("serving", sparse="sgd", dense="adam") == 4 * (2 * 800 + NUM_IDS + 1)


def test_at_density_1_it_is_a_plain_table() -> None:
    table, weights = make(1.0), normal()
    before = weights["t_table"].clone()
    for step in range(1, 41):
        table.after_step(StageStep(step, 40), weights)
    table.next_stage(weights)
    table.after_step(StageStep(10, 40), weights)
    table.before_validation(weights)
    assert torch.equal(weights["t_table"], before)
    full = Full("t", vocabularies([NUM_IDS]), DIM, FullTable(features=("*",)))
    ids = torch.tensor([0, 3, 499])
    assert torch.equal(table.serving(weights)(ids, 0), full.serving(weights)(ids, 0))


@pytest.mark.parametrize(("step", "reached"), [(0, 0.0), (100, 0.01), (1000, 1 - 0.99**10), (10**9, 1.0)])
def test_the_schedule(step: int, reached: float) -> None:
    goal = 1 - 0.25
    assert make(0.25, ramp=100).share_of_zeros(StageStep(step, 7)) == pytest.approx(reached * goal, abs=1e-12)


def test_by_default_the_first_stage_all_but_reaches_the_goal() -> None:
    table = make(0.25)
    assert table.share_of_zeros(StageStep(500, 500)) == pytest.approx(0.999 * 0.75)
    assert table.share_of_zeros(StageStep(50, 500)) == pytest.approx(0.75 * (1 - math.sqrt(math.sqrt(1e-3) ** 0.4)))


@pytest.mark.parametrize("sample", [2**22, 2**20], ids=["all", "sample"])
def test_zeros_after_a_pruning(sample: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deeplight, "SAMPLE", sample)
    monkeypatch.setattr(deeplight, "PIECE", 2**18)
    table, weights = make(0.25, sizes=[80_000], ramp=100), normal(80_000)
    for step in (990, 991, 1000):
        table.after_step(StageStep(step, 7), weights)
    expected = 0.75 * (1 - 0.99**10)
    tolerance = 1e-3 if sample < 80_000 * DIM else 1e-6
    assert share_of_zeros(weights) == pytest.approx(expected, abs=tolerance)
    table.next_stage(weights)
    table.after_step(StageStep(10, 7), weights)
    assert share_of_zeros(weights) == pytest.approx(0.75, abs=tolerance)
    weights = normal(80_000)
    table.before_validation(weights)
    assert share_of_zeros(weights) == 0.75


def test_pruning_comes_every_ten_steps_and_weights_grow_again_between() -> None:
    table, weights = make(0.25, ramp=1), normal()
    weight = weights["t_table"]
    table.after_step(StageStep(9, 7), weights)
    assert share_of_zeros(weights) == 0
    table.after_step(StageStep(100, 7), weights)
    was_zero = weight == 0
    weight[::2] += 5.0  # a step of the optimizer
    table.after_step(StageStep(101, 7), weights)
    assert share_of_zeros(weights) == pytest.approx(float(was_zero[1::2].float().mean()) / 2)
    table.after_step(StageStep(110, 7), weights)
    regrown = int((was_zero & (weight != 0)).sum())
    print(f"{regrown} of {int(was_zero.sum())} pruned weights have grown again")
    assert regrown > 1000
    assert share_of_zeros(weights) == pytest.approx(table.share_of_zeros(StageStep(110, 7)), abs=2e-4)


def test_what_is_pruned_is_the_smallest_and_of_equal_ones_the_last() -> None:
    weight_N = torch.tensor([1.0, -3.0, 2.0, -2.0, 2.0, 0.5])
    assert largest(weight_N, 3).tolist() == [False, True, True, True, False, False]
    assert largest(torch.zeros(4), 2).tolist() == [True, True, False, False]
    found = [limit_of(weight_N, count) for count in range(1, 7)]
    assert found == [(3.0, 1), (2.0, 1), (2.0, 2), (2.0, 3), (1.0, 1), (0.5, 1)]


def test_the_limit_is_that_of_sorting() -> None:
    draw = torch.Generator().manual_seed(0)
    weight_N = torch.randn(10_001, generator=draw) * 10.0 ** torch.randint(-40, 30, (10_001,), generator=draw)
    ordered = weight_N.abs().sort(descending=True).values
    for count in (1, 2, 100, 5000, 10_000, 10_001):
        assert limit_of(weight_N, count)[0] == float(ordered[count - 1])
        assert int(largest(weight_N, count).sum()) == count


def test_ties_are_broken_by_index_over_all_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deeplight, "PIECE", 4)
    weight_N = torch.tensor([1, 1, 2, 1, 1, 1, 2, 1, 1.0, 3])
    assert largest(weight_N, 6).nonzero().flatten().tolist() == [0, 1, 2, 3, 6, 9]


def test_before_the_last_stage_validation_changes_nothing() -> None:
    table, weights = make(0.25), normal()
    before = weights["t_table"].clone()
    table.before_validation(weights)
    assert torch.equal(weights["t_table"], before)


@pytest.mark.parametrize("sizes", [[NUM_IDS], CRITEO], ids=["500", "criteo"])
@pytest.mark.parametrize(("times", "kind"), [(2.9, Coordinates), (3.1, CompressedRows)])
def test_the_format_changes_at_three_words_a_row(sizes: list[int], times: float, kind: type) -> None:
    spec = solve_budget(planned(budget=times / DIM), vocabularies(sizes))
    (table,) = DeepLight.build("t", vocabularies(sizes), DIM, spec)
    assert isinstance(table, DeepLight)
    num_rows, num_entries = sum(sizes), table.num_entries
    words = {CompressedRows: 2 * num_entries + num_rows + 1, Coordinates: 3 * num_entries}
    assert table.serving_bytes() == 4 * words[kind]
    assert table.has_pointers() is (kind is CompressedRows)
    if num_rows == NUM_IDS:
        assert type(table.serving(normal())) is kind


@pytest.mark.parametrize("density", [0.05, 0.2], ids=["coo", "csr"])
def test_lookups_of_pruned_rows_edge_ids_duplicates_and_an_empty_batch(density: float) -> None:
    table, weights = make(density, sizes=[20, 30]), normal(50)
    weights["t_table"][7] *= 1e-6  # nothing of it is left
    weights["t_table"][49] *= 1e-6
    table.next_stage(weights)
    table.before_validation(weights)
    exported = script(table.serving(weights))
    for feature_index, ids in ((0, [0, 7, 19, 7, 0]), (1, [29, 0, 29, 3]), (0, [7]), (1, [])):
        id_V = torch.tensor(ids, dtype=torch.int64)
        expected = weights["t_table"][table.remap(id_V, feature_index)[0]]
        assert torch.equal(exported(id_V, feature_index), expected)
    assert torch.equal(exported(torch.tensor([7]), 0), torch.zeros(1, DIM))
    assert torch.equal(exported(torch.tensor([29]), 1), torch.zeros(1, DIM))


@pytest.mark.proof
def test_pruning_fifty_million_rows() -> None:
    import resource
    import time

    table, weights = make(0.1, sizes=[50_000_000], dim=4), normal(50_000_000, dim=4)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    table.after_step(StageStep(1000, 1000), weights)
    step = time.perf_counter()
    assert share_of_zeros(weights) == pytest.approx(0.999 * 0.9, abs=1e-3)
    table.next_stage(weights)
    begin = time.perf_counter()
    table.before_validation(weights)
    end = time.perf_counter()
    assert int(weights["t_table"].count_nonzero()) == table.num_entries
    taken = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1e6
    print(f"200 M weights: every tenth step {step - start:.2f} s, validation {end - begin:.2f} s, {taken:.2f} GB more")
