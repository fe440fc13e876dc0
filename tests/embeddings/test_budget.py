"""Budgets become sizes of schemes: exactly, on the field sizes of two public data sets, and fast."""

import io
import time
from bisect import bisect_left
from typing import Any

import pytest
import torch

from recsys.config import ResolvedTable
from recsys.config.schemes import SCHEMES
from recsys.embeddings import FeatureVocabulary, Full
from recsys.embeddings.budget import scheme_class, solve_budget
from recsys.embeddings.build import build_schemes
from recsys.embeddings.scheme import Scheme, tensor_bytes
from recsys.embeddings.schemes.adaptemb import AdaptEmb
from recsys.embeddings.schemes.md import row_widths
from recsys.embeddings.schemes.qr import Qr
from recsys.embeddings.schemes.tt_rec import TtRec
from recsys.errors import ConfigError
from recsys.export import script
from tests.config.loading import Problems, folder, load, problems  # noqa: F401 - fixtures
from tests.embeddings.public_data import CRITEO, DIM, FIELDS, planned, vocabularies

SIZED = [name for name, section in SCHEMES.items() if "budget" in section.model_fields]
REACHABLE: dict[str, tuple[dict[str, Any], list[float]]] = {
    "hash": ({}, [0.5, 0.1, 0.01, 0.001]),
    "hash-per_feature": ({"per_feature": True}, [0.5, 0.1, 0.01, 0.001]),
    "unified": ({}, [0.5, 0.1, 0.01, 0.001]),
    "multi_hash": ({}, [0.5, 0.1, 0.01, 0.001]),
    "multi_hash-per_feature": ({"per_feature": True}, [0.5, 0.1, 0.01, 0.001]),
    "qr": ({}, [0.5, 0.1, 0.01, 0.001]),
    "qr-per_feature": ({"per_feature": True}, [0.5, 0.1, 0.01, 0.002]),
    "tt_rec": ({}, [0.5, 0.1, 0.01, 0.001]),
    "dhe": ({}, [0.5, 0.1, 0.01, 0.001]),
    "robe": ({}, [0.5, 0.1, 0.01, 0.001]),
    "robe-per_feature": ({"per_feature": True}, [0.5, 0.1, 0.01, 0.001]),
    "dedup": ({}, [0.5, 0.1, 0.01]),
    "adaptemb": ({}, [0.5, 0.1, 0.01, 0.001]),
    "adaptemb-hot": ({"hot": 0.05}, [0.5, 0.1]),
    "dpq": ({}, [0.5, 0.1]),
    "mgqe": ({}, [0.5, 0.1]),
    "int8": ({}, [0.5, 0.25]),
    "int16": ({}, [0.5]),
    "alpt": ({}, [0.5]),
    "md": ({}, [0.5, 0.1, 0.07]),
    "deeplight": ({}, [0.5, 0.1, 0.01, 0.001]),
}
"""SCHEME or SCHEME-WHAT -> other keys, and budgets that it can keep to with both data sets; a half if not listed."""
REACHABLE |= {name: ({}, [0.5]) for name in SIZED if name not in REACHABLE}
CASES = [(case, data, budget) for case, (_, budgets) in REACHABLE.items() for data in FIELDS for budget in budgets]
SAME_BYTES = {"hash", "unified", "multi_hash", "qr", "tt_rec", "robe", "md", "adaptemb"}
"""Schemes that train in no more memory than they are served in, optimizer aside."""
MORE_BYTES = {"dedup", "dpq", "mgqe", "deeplight"}
"""Schemes that train a full table, of which they serve less."""
NEARLY_SAME_BYTES = {"int8", "int16", "alpt", "dhe"}
"""Those that do but for a few numbers: the optimizer's own of integer rows, batch norms that are served folded."""


def cost(table: ResolvedTable, sizes: list[int], spec: Any) -> int:
    return scheme_class(table.spec).size_for(vocabularies(sizes), DIM, spec)


def filled(part: Scheme) -> dict[str, torch.Tensor]:
    return {t.name: torch.randn(t.rows, t.dim) for t in part.physical_tables()}


@pytest.mark.parametrize(("case", "data", "budget"), CASES)
def test_the_solved_size_keeps_to_the_budget_and_the_next_larger_one_does_not(
    case: str, data: str, budget: float
) -> None:
    sizes = FIELDS[data]
    table = planned(case, sizes, budget=budget, **REACHABLE[case][0])
    began = time.perf_counter()
    spec: Any = solve_budget(table, vocabularies(sizes))
    seconds = time.perf_counter() - began
    full = 4 * DIM * sum(sizes)
    found = cost(table, sizes, spec)
    print(f"\n{case} on {data} at {budget:g}: {found / full:.6f} in {seconds:.2f} s")
    assert found <= budget * full
    assert seconds < 5
    if spec.size_param is None:
        return
    candidates = scheme_class(table.spec).size_candidates(vocabularies(sizes), DIM, spec)
    size, sign = getattr(spec, spec.size_param), 1 if candidates[0] < candidates[-1] else -1
    place = bisect_left(candidates, sign * size, key=lambda value: sign * value)
    assert candidates[place] == size
    if place > 0:
        larger = spec.model_copy(update={spec.size_param: candidates[place - 1]})
        assert cost(table, sizes, larger) > int(budget * full)


@pytest.mark.parametrize(
    ("data", "budget", "divisor", "rows", "num_compressed"),
    [
        ("criteo", 0.5, 3, 11_254_277, 24),
        ("criteo", 0.1, 11, 3_069_604, 23),
        ("criteo", 0.01, 101, 336_312, 19),
        ("criteo", 0.002, 593, 67_524, 16),
        ("avazu", 0.5, 3, 3_149_887, 19),
        ("avazu", 0.1, 11, 859_253, 15),
        ("avazu", 0.01, 102, 94_000, 11),
        ("avazu", 0.002, 822, 18_892, 7),
    ],
)
def test_divisors_of_criteo_and_avazu_are_the_golden_ones(
    data: str, budget: float, divisor: int, rows: int, num_compressed: int
) -> None:
    sizes = FIELDS[data]
    table = planned("qr", sizes, budget=budget, per_feature=True)
    spec: Any = solve_budget(table, vocabularies(sizes))
    assert spec.divisor == divisor
    assert cost(table, sizes, spec) == 4 * DIM * rows
    assert sum(isinstance(part, Qr) for part in Qr.build("t", vocabularies(sizes), DIM, spec)) == num_compressed


@pytest.mark.parametrize(("data", "divisor", "rows"), [("criteo", 1557, 46_673), ("avazu", 1151, 17_909)])
def test_the_smallest_tables_have_the_golden_divisors(data: str, divisor: int, rows: int) -> None:
    sizes = FIELDS[data]
    table = planned("qr", sizes, budget=0.5, per_feature=True)
    assert Qr.size_candidates(vocabularies(sizes), DIM, table.spec)[-1] == divisor
    assert cost(table, sizes, table.spec.model_copy(update={"divisor": divisor, "budget": None})) == 4 * DIM * rows


@pytest.mark.parametrize(
    ("data", "rank", "floats", "num_compressed"),
    [
        ("criteo", 2, 25_072, 26),
        ("criteo", 4, 70_096, 24),
        ("criteo", 8, 219_056, 19),
        ("criteo", 16, 751_296, 18),
        ("criteo", 32, 2_723_824, 14),
        ("criteo", 64, 10_001_552, 10),
        ("criteo", 128, 36_993_264, 7),
        ("criteo", 256, 130_844_416, 5),
        ("avazu", 2, 9_556, 22),
        ("avazu", 4, 26_616, 17),
        ("avazu", 8, 82_048, 14),
        ("avazu", 16, 275_424, 10),
        ("avazu", 32, 967_232, 7),
        ("avazu", 64, 3_350_000, 2),
        ("avazu", 128, 11_537_136, 2),
        ("avazu", 256, 44_033_264, 2),
    ],
)
def test_ranks_and_their_floats_are_the_golden_ones(data: str, rank: int, floats: int, num_compressed: int) -> None:
    sizes = FIELDS[data]
    table = planned("tt_rec", sizes, rank=rank)
    assert cost(table, sizes, table.spec) == 4 * floats
    assert (
        sum(isinstance(part, TtRec) for part in TtRec.build("t", vocabularies(sizes), DIM, table.spec))
        == num_compressed
    )


@pytest.mark.parametrize(
    ("data", "alpha", "widths", "floats"),
    [
        (
            "criteo",
            0.1,
            [8, 8, 4, 4, 8, 16, 8, 8, 16, 8, 8, 4, 8, 16, 8, 4, 16, 8, 8, 16, 4, 16, 16, 4, 8, 4],
            135_615_272,
        ),
        (
            "criteo",
            0.2,
            [4, 8, 1, 1, 8, 8, 4, 4, 16, 2, 4, 1, 4, 8, 4, 1, 16, 4, 4, 16, 1, 8, 16, 2, 8, 2],
            34_432_757,
        ),
        ("avazu", 0.1, [8, 16, 16, 8, 8, 16, 8, 8, 16, 4, 4, 8, 16, 16, 8, 16, 16, 8, 16, 16, 8, 16], 37_935_136),
        ("avazu", 0.2, [8, 16, 16, 4, 4, 8, 4, 8, 8, 1, 1, 4, 16, 16, 4, 16, 16, 8, 16, 8, 8, 8], 9_558_386),
    ],
)
def test_widths_and_their_floats_are_the_golden_ones(data: str, alpha: float, widths: list[int], floats: int) -> None:
    sizes = FIELDS[data]
    assert row_widths(sizes, DIM, alpha) == widths
    table = planned("md", sizes, alpha=alpha)
    # Rows narrower than 4 fill up their last physical row.
    assert 0 <= cost(table, sizes, table.spec) - 4 * floats <= 4 * 3 * sum(width < 4 for width in widths)


@pytest.mark.parametrize(
    ("case", "keys", "budget", "floor"),
    [
        ("qr", {"per_feature": True}, 0.001, "3.0 MB"),
        ("md", {}, 1 / DIM, "135.1 MB"),
        ("adaptemb", {"hot": 0.2}, 0.2, "432.4 MB"),
        ("alpt", {}, 8 / 32 + 1 / DIM - 0.001, "675.3 MB"),
        ("int16", {}, 0.49, "1.1 GB"),
    ],
)
def test_a_budget_out_of_reach_names_the_floor_and_who_can(
    case: str, keys: dict[str, Any], budget: float, floor: str
) -> None:
    with pytest.raises(ConfigError) as error:
        build_schemes(planned(case, CRITEO, budget=budget, **keys), vocabularies(CRITEO))
    text, _, able = str(error.value).partition("; schemes that can reach the budget: ")
    assert text.startswith(f"tables.t.budget: scheme {case} cannot be made as small as ")
    assert text.endswith(f"the least it can be is {floor}")
    assert {"hash", "robe", "dhe", "tt_rec"} <= set(able.split(", "))
    assert not {case, "full"} & set(able.split(", "))


@pytest.mark.parametrize("case", sorted(REACHABLE))
def test_reported_bytes_are_those_of_the_exported_state(case: str) -> None:
    torch.manual_seed(0)
    sizes = [3000, 400, 20, 5]
    table = planned(case, sizes, budget=0.5, **REACHABLE[case][0])
    parts = build_schemes(table, vocabularies(sizes))
    exported = 0
    for part in parts:
        weights, file = filled(part), io.BytesIO()
        for _ in range(1, part.spec.num_stages):
            part.next_stage(weights)
        part.before_validation(weights)
        torch.jit.save(script(part.eval().serving(weights).eval()), file)
        file.seek(0)
        exported += tensor_bytes(torch.jit.load(file))
    assert sum(part.bytes("serving", sparse="sgd", dense="sgd") for part in parts) == exported
    assert exported <= 0.5 * 4 * DIM * sum(sizes)


@pytest.mark.parametrize(
    ("case", "keys"),
    [
        ("hash", {"rows": 2000, "per_feature": True}),
        ("unified", {"rows": 2000}),
        ("multi_hash", {"rows": 2000}),
        ("robe", {"size": 32_000}),
        ("qr", {"divisor": 10, "per_feature": True}),
        ("tt_rec", {"rank": 4}),
        ("dhe", {"width": 8}),
        ("md", {"alpha": 0.3}),
        ("adaptemb", {"rate": 0.5}),
    ],
)
def test_fields_no_larger_than_their_compressed_form_are_a_plain_table(case: str, keys: dict[str, Any]) -> None:
    sizes = [20_000, 1]
    parts = build_schemes(planned(case, sizes, **keys), vocabularies(sizes))
    small = next(part for part in parts if part.vocabularies[0].name == "f1")
    large = next(part for part in parts if part.vocabularies[0].name == "f0")
    assert isinstance(small, Full)
    assert not isinstance(large, Full)
    (weight,) = filled(small).values()
    plain = Full("t", vocabularies(sizes)[1:], DIM, SCHEMES["full"](features=("f1",)))  # type: ignore[arg-type]
    ids = torch.tensor([0, 0])
    served = small.serving({small.physical_tables()[0].name: weight})(ids, 0)
    assert torch.equal(served, plain.serving({"t_table": weight})(ids, 0))
    assert (small.physical_tables()[0].init, small.sums_bags) == (plain.physical_tables()[0].init, plain.sums_bags)


@pytest.mark.parametrize("case", sorted(REACHABLE))
def test_training_takes_at_least_the_memory_of_serving(case: str) -> None:
    sizes = [3000, 400, 20, 5]
    parts = build_schemes(planned(case, sizes, budget=0.5, **REACHABLE[case][0]), vocabularies(sizes))
    training, serving = (
        sum(part.bytes(phase, sparse="sgd", dense="sgd") for part in parts) for phase in ("training", "serving")
    )
    scheme = case.partition("-")[0]
    assert serving <= training
    if scheme in MORE_BYTES:
        assert training >= 1.02 * serving
    elif scheme in SAME_BYTES | NEARLY_SAME_BYTES:
        assert training < 1.02 * serving
        assert (training == serving) == (scheme in SAME_BYTES)


def test_a_budget_in_bytes_is_solved() -> None:
    table = planned("hash", CRITEO, budget="10MB")
    spec: Any = solve_budget(table, vocabularies(CRITEO))
    assert (spec.rows, spec.budget) == (10_000_000 // (4 * DIM), None)


def test_a_size_that_is_given_is_left_alone() -> None:
    table = planned("qr", CRITEO, divisor=7)
    assert solve_budget(table, vocabularies(CRITEO)) is table.spec


def test_bytes_are_a_budget_for_an_open_vocabulary_and_a_fraction_is_none() -> None:
    table, opened = planned("hash", [1], budget="1MB"), [FeatureVocabulary("f0", None)]
    (part,) = build_schemes(table, opened)
    assert part.serving_bytes() == 1_000_000
    message = "tables.t.budget: 'f0' has an open vocabulary, of which no fraction can be taken; give bytes, e.g. 10MB"
    with pytest.raises(ConfigError, match=message):
        build_schemes(planned("hash", [1], budget=0.1), opened)


def test_others_are_offered_for_an_open_vocabulary_only_if_they_take_one() -> None:
    table = planned("unified", [1], budget="1B")
    with pytest.raises(ConfigError, match="schemes that can reach the budget: none"):
        build_schemes(table, [FeatureVocabulary("f0", None)])


@pytest.mark.parametrize(("keys", "got"), [("divisor: 3, budget: 0.1", "both"), ("operation: add", "neither")])
def test_a_table_has_one_size(problems: Problems, keys: str, got: str) -> None:  # noqa: F811 - a fixture
    text = f"label: y\nfeatures: {{user: {{type: id}}}}\ntables:\n  all: {{features: [user], scheme: qr, {keys}}}\n"
    rule = "needs either divisor or budget (such as 10MB, or 0.1 of the full table)"
    assert problems(text)[1:] == [f"shop.yaml:4: tables.all: {rule}, got {got}"]


def test_divisors_are_the_smallest_that_do() -> None:
    """Against all of them, one by one, where rounding makes the number of rows rise and fall."""
    sizes = [97, 1003, 250, 6]
    table = planned("qr", sizes, budget=0.5, per_feature=True)
    rows = [sum(min(n, -(-n // c) + c) for n in sizes) for c in range(1, 100)]
    for budget in range(min(rows), sum(sizes), 10):
        smallest = 1 + next(i for i, needed in enumerate(rows) if needed <= budget)
        spec: Any = table.spec.model_copy(update={"budget": f"{4 * DIM * budget} B"})
        solved: Any = solve_budget(
            ResolvedTable(name="t", fields=table.fields, dim=DIM, spec=spec), vocabularies(sizes)
        )
        assert solved.divisor == smallest


def test_adaptemb_settings_leave_rows_beside_the_hot_ones() -> None:
    table = planned("adaptemb", CRITEO, budget=0.5, hot=0.1)
    candidates = AdaptEmb.size_candidates(vocabularies(CRITEO), DIM, table.spec)
    assert (candidates[0], candidates[-1]) == (1.0, 0.1001)
