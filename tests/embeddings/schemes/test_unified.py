"""Feature multiplexing: the numbered acceptance checks of the method, the exact ones.

That string keys are hashed as such (check 2) is no matter of tables: they are given int64 keys.
"""

import copy
import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
from torch import Tensor

from recsys.checksums import write_checksums
from recsys.config import ResolvedTable
from recsys.config.schemes.hash import HashTable
from recsys.config.schemes.unified import UnifiedTable
from recsys.embeddings import FeatureVocabulary, Hash, Layout, Scheme, build_schemes
from recsys.embeddings.schemes import unified
from recsys.embeddings.schemes.unified import Unified
from recsys.errors import ConfigError, DataError
from recsys.export import script
from recsys.features.fingerprint import HASH_VERSION, xxhash64_keys
from recsys.features.state import TransformState
from recsys.testing.tiny_tables import MANY, look_up, rows, sharded
from recsys.training.strategy import table_weights

GOLDEN_IDS = [*range(15), -1, -(2**63), 2**31, 2**63 - 1, -1205034819632174695]
GOLDEN_ROWS = {
    ("user", 0): [615, 42, 26, 58, 865, 161, 566, 536, 726, 682, 893, 0, 20, 740, 876, 10, 688, 728, 509, 139],
    ("user", 1): [152, 181, 251, 911, 582, 261, 41, 712, 600, 941, 144, 398, 663, 711, 378, 216, 871, 318, 848, 835],
    ("item", 0): [745, 277, 360, 677, 244, 229, 907, 610, 389, 632, 168, 184, 165, 670, 311, 382, 678, 305, 590, 448],
    ("item", 1): [914, 563, 666, 297, 715, 618, 306, 748, 974, 935, 135, 987, 684, 251, 237, 565, 421, 335, 174, 326],
    ("tags", 0): [403, 303, 29, 786, 885, 662, 373, 490, 402, 222, 50, 853, 449, 826, 926, 983, 894, 304, 472, 142],
    ("tags", 1): [436, 891, 363, 820, 771, 142, 288, 941, 885, 89, 960, 844, 238, 468, 490, 80, 721, 437, 86, 122],
}  # fmt: skip
"""Rows of 1009, computed by another implementation (integers of Python); if they change, so must HASH_VERSION."""
CRITEO = [676, 533, 17447, 19995, 180, 13, 9693, 337, 3, 14637, 4378, 17795, 3067, 26, 6504, 18679, 10, 3102, 1557, 3]
CRITEO += [18230, 10, 14, 13079, 56, 10581]
"""Vocabularies of Criteo's 26 fields in the replication that the paper file cites."""


def table(sizes: dict[str, int | None], dim: int = 4, **keys: Any) -> Unified:
    """The hashed part of a table; small vocabularies are hashed too, if not told otherwise."""
    spec = UnifiedTable(features=tuple(sizes), scheme="unified", **{"exact_below": 0, **keys})
    made = Unified.build("t", [FeatureVocabulary(*item) for item in sizes.items()], dim, spec)[0]
    assert isinstance(made, Unified)
    return made


def random_weights(scheme: Scheme) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return {t.name: torch.randn(t.rows, t.dim, generator=generator) for t in scheme.physical_tables()}


def colliding_pairs(row_V: Tensor) -> int:
    counts = torch.bincount(row_V)
    return int((counts * (counts - 1) // 2).sum())


def within(found: float, mean: float, variance: float, sigmas: float = 5) -> bool:
    return abs(found - mean) <= sigmas * variance**0.5


# --- reduction to a plain table ---------------------------------------------------------------------------------------


def train(model: Any, layout: Layout, seed: int) -> list[float]:
    """Some steps of SGD on a logistic reader of the concatenated vectors; return the losses."""
    generator = torch.Generator().manual_seed(seed)
    reader = torch.randn(12, generator=generator)
    losses = []
    for _ in range(20):
        user, item, tag = (torch.randint(0, n, (8,), generator=generator) for n in (10, 7, 5))
        batch = layout.collate(rows(user.tolist(), item.tolist(), [[t] for t in tag.tolist()], [[]] * 8))
        looked = look_up(model, layout, batch)
        vectors = torch.cat([looked[name][0] for name in ("user", "item", "tags")], dim=1)
        target = ((user + item) % 2).float()
        loss = torch.nn.functional.binary_cross_entropy_with_logits(vectors @ reader, target)
        loss.backward()
        losses.append(float(loss.detach()))
    return losses


def test_with_an_identity_for_a_hash_it_is_a_plain_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unified, "mix64", lambda keys: keys)
    made = table({"item": 50}, rows=50)
    made.salts = [[0]]
    (weight,) = random_weights(made).values()
    weight.requires_grad_()
    ids = torch.tensor([3, 3, 49, 0])
    looked = made.combine([weight[row_V] for row_V in made.remap(ids, 0)], ids, 0)
    assert torch.equal(looked, weight[ids])
    assert torch.equal(
        torch.autograd.grad(looked.pow(3).sum(), weight)[0], torch.autograd.grad(weight[ids].pow(3).sum(), weight)[0]
    )


def test_with_a_perfect_hash_it_trains_as_a_joint_table_does(make_layout: Callable[..., Layout]) -> None:
    features = ["user", "item", "tags"]
    plain = make_layout({"t": {"features": features}})
    hashed = make_layout({"t": {"features": features, "scheme": "unified", "rows": 22, "exact_below": 0}})
    place = torch.randperm(22, generator=torch.Generator().manual_seed(3))
    first = [0, 10, 17]
    hashed.schemes["t"].remap = lambda ids, feature_index: place[ids + first[feature_index]].unsqueeze(0)  # type: ignore[method-assign]
    models = sharded(plain, lr=0.5), sharded(hashed, lr=0.5)
    (weight,), (other) = table_weights(models[0]).values(), table_weights(models[1])["t_table"]
    other[place] = weight
    before = weight.clone()
    losses = train(models[0], plain, 1), train(models[1], hashed, 1)
    assert losses[0] == pytest.approx(losses[1], abs=1e-6)
    torch.testing.assert_close(other[place], weight, rtol=0, atol=1e-6)
    assert float((weight - before).abs().max()) > 0.01


# --- rows -------------------------------------------------------------------------------------------------------------


def test_rows_are_those_of_the_golden_vector() -> None:
    made = table({"user": None, "item": 30, "tags": None}, rows=1009, lookups=2)
    found = {
        vocabulary.name: made.remap(torch.tensor(GOLDEN_IDS), i).tolist()
        for i, vocabulary in enumerate(made.vocabularies)
    }
    assert {(name, place): found[name][place] for name, place in GOLDEN_ROWS} == GOLDEN_ROWS
    assert sum(map(len, GOLDEN_ROWS.values())) >= 100


@pytest.mark.slow
def test_a_second_process_finds_the_same_rows() -> None:
    code = f"""
import json, torch
from recsys.config.schemes.unified import UnifiedTable
from recsys.embeddings.scheme import FeatureVocabulary
from recsys.embeddings.schemes.unified import Unified
spec = UnifiedTable(features=("tags", "item", "user"), scheme="unified", rows=1009, lookups=2)
made = Unified("other", [FeatureVocabulary(name, None) for name in spec.features], 8, spec)
ids = torch.tensor({GOLDEN_IDS})
print(json.dumps({{name: made.remap(ids, i).tolist() for i, name in enumerate(spec.features)}}))
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    found = json.loads(ended.stdout.splitlines()[-1])
    assert all(found[name][place] == row_V for (name, place), row_V in GOLDEN_ROWS.items())


def test_rows_are_the_same_on_a_gpu() -> None:
    if not torch.cuda.is_available():
        pytest.skip("no GPU")
    made = table({"user": None}, rows=1009, lookups=2)
    ids = torch.tensor(GOLDEN_IDS)
    assert torch.equal(made.remap(ids.cuda(), 0).cpu(), made.remap(ids, 0))


def test_the_order_of_features_and_new_ones_change_no_rows() -> None:
    ids = torch.arange(1000)
    keys = {"rows": 997, "lookups": {"a": 2, "b": 3}, "num_tables": 3, "dim": 8, "probes": 2}
    one, other, more = (
        table(dict.fromkeys(names, 1000), **keys) for names in (["a", "b"], ["b", "a"], ["new", "a", "newer", "b"])
    )
    for name in ("a", "b"):
        places = [[m.name for m in made.vocabularies].index(name) for made in (one, other, more)]
        for made, place in zip((other, more), places[1:], strict=True):
            assert torch.equal(made.remap(ids, place), one.remap(ids, places[0]))
            assert made.tables(place) == one.tables(places[0])


def test_two_features_and_two_places_share_rows_by_chance_alone() -> None:
    ids, m = torch.arange(100_000), 500
    made = table({"a": None, "b": None}, rows=m, lookups=2)
    first, second = made.remap(ids, 0), made.remap(ids, 1)
    for one, other in ((first[0], second[0]), (first[1], second[1]), (first[0], first[1])):
        same = int((one == other).sum())
        assert within(same, len(ids) / m, len(ids) / m * (1 - 1 / m))


@pytest.mark.parametrize("m", [1000, 1024, 997])
@pytest.mark.parametrize("kind", ["sequential", "random", "of rows", "of 2**16", "of 2**32"])
def test_rows_are_used_evenly(m: int, kind: str) -> None:
    ids = torch.arange(100_000)
    if kind == "random":
        ids = torch.randint(-(2**63), 2**63 - 1, (100_000,), generator=torch.Generator().manual_seed(5))
    ids = ids * {"of rows": m, "of 2**16": 2**16, "of 2**32": 2**32}.get(kind, 1)
    for row_V in table({"item": None}, rows=m, lookups=2).remap(ids, 0):
        expected = len(ids) / m
        chi2 = float(((torch.bincount(row_V, minlength=m) - expected) ** 2 / expected).sum())
        assert within(chi2, m - 1, 2 * (m - 1)), chi2


def test_ids_of_a_feature_collide_as_often_as_by_chance() -> None:
    n, m = 20_000, 5000
    expected = n * (n - 1) / 2 / m
    assert within(colliding_pairs(table({"item": n}, rows=m).remap(torch.arange(n), 0)[0]), expected, expected)


def test_one_table_has_fewer_collisions_than_a_split_one() -> None:
    """On Criteo's vocabularies; the split table is scheme hash with `separate`, its ids scrambled too."""
    vocabularies = [FeatureVocabulary(f"C{i}", n) for i, n in enumerate(CRITEO, 1)]
    names, m = tuple(vocabulary.name for vocabulary in vocabularies), sum(CRITEO) // 10
    spec = HashTable(features=names, scheme="hash", rows=m, per_feature=True, hashing="random")
    shared, split = table({m.name: m.num_ids for m in vocabularies}, rows=m), Hash.build("t", vocabularies, 4, spec)
    assert sum(part.serving_bytes() for part in split) <= shared.serving_bytes() + 16 * len(vocabularies)
    pairs = [
        sum(colliding_pairs(scheme.remap(torch.arange(n), i)[0]) for n, (scheme, i) in zip(CRITEO, places, strict=True))
        for places in ([(shared, i) for i in range(len(vocabularies))], [(part, 0) for part in split])
    ]
    ratio = sum(CRITEO) ** 2 / sum(n * n for n in CRITEO)
    print(
        f"colliding pairs: shared {pairs[0]}, split {pairs[1]}, ratio {pairs[1] / pairs[0]:.2f}, expected {ratio:.2f}"
    )
    expected = sum(n * (n - 1) / 2 for n in CRITEO) / m
    assert within(pairs[0], expected, expected)
    assert pairs[1] / pairs[0] == pytest.approx(ratio, rel=0.02)


@pytest.mark.parametrize("k", [1, 2, 3])
def test_two_ids_seldom_share_all_their_rows(k: int) -> None:
    n, m = 3000, 16
    row_KV = table({"item": n}, rows=m, lookups=k).remap(torch.arange(n), 0)
    joint = (row_KV * m ** torch.arange(k).unsqueeze(1)).sum(dim=0)
    expected = n * (n - 1) / 2 / m**k
    assert within(colliding_pairs(joint), expected, expected)


def test_lookups_make_the_width_and_touch_no_other_feature() -> None:
    ids = torch.arange(20)
    few, many = (table({"a": 20, "b": 20}, rows=30, lookups={"b": k}) for k in (3, 12))
    weights = random_weights(few)
    assert ([few.width(i) for i in (0, 1)], [many.width(i) for i in (0, 1)]) == ([4, 12], [4, 48])
    assert torch.equal(few.serving(weights)(ids, 0), many.serving(weights)(ids, 0))
    vectors = many.serving(weights)(ids, 1)
    assert torch.equal(vectors[:, :12], few.serving(weights)(ids, 1))
    for place, row_V in enumerate(many.remap(ids, 1)):  # 10 comes after 9, not after 1
        assert torch.equal(vectors[:, 4 * place : 4 * place + 4], weights["t_table"][row_V])


def test_lookups_that_meet_in_a_row_add_their_gradients(make_layout: Callable[..., Layout]) -> None:
    spec = {"features": ["user", "item"], "scheme": "unified", "rows": 3, "lookups": 2}
    layout = make_layout({"t": spec})
    model = sharded(layout, lr=1.0)
    weight = table_weights(model)["t_table"]
    before = weight.double()
    batch = layout.collate(rows([0, 9, 1], [6, 2, 2], [[]] * 3, [[]] * 3))
    used = torch.cat([row_V for name in ("user", "item") for row_V in layout.remap(batch.ids)[name]])
    assert int(torch.bincount(used).max()) > 1

    def full_table(weight: Tensor) -> Tensor:
        one_hot = torch.nn.functional.one_hot(used, 3).double()
        return (one_hot @ weight).mul(10).exp().sum()

    looked = look_up(model, layout, batch)
    torch.cat([row for name in ("user", "item") for row in looked[name]]).mul(10).exp().sum().backward()
    dense = torch.autograd.functional.jacobian(full_table, before)
    torch.testing.assert_close(before - weight.double(), dense, rtol=1e-4, atol=1e-4)
    for place in range(before.numel()):
        step = torch.zeros(before.numel(), dtype=torch.float64)
        step[place] = 1e-4
        measured = (full_table(before + step.view_as(before)) - full_table(before - step.view_as(before))) / 2e-4
        assert float(measured) == pytest.approx(float(dense.view(-1)[place]), rel=1e-5)


# --- size -------------------------------------------------------------------------------------------------------------


def test_bytes_depend_on_neither_ids_nor_features() -> None:
    for sizes in ({"a": 100}, {"a": MANY}, {"a": None}, {f"C{i}": MANY for i in range(30)}):
        made = table(sizes, dim=8, rows=1000)
        assert made.serving_bytes() == 1000 * 8 * 4
        assert made.bytes("training", sparse="rowwise_adagrad", dense="adam") == 1000 * (8 + 1) * 4
        assert made.bytes("training", sparse="adagrad", dense="adam") == 1000 * (8 + 8) * 4
        assert not made.state_dict()
        assert [(t.rows, t.dim) for t in made.physical_tables()] == [(1000, 8)]


def test_small_vocabularies_keep_rows_of_their_own() -> None:
    spec = UnifiedTable(features=("a", "b", "c", "d"), scheme="unified", rows=10, lookups={"b": 3}, exact_below=5)
    vocabularies = [
        FeatureVocabulary("a", 100),
        FeatureVocabulary("b", 5),
        FeatureVocabulary("c", 2),
        FeatureVocabulary("d", 6),
    ]
    hashed, *exact = Unified.build("t", vocabularies, 4, spec)
    assert [vocabulary.name for vocabulary in hashed.vocabularies] == ["a", "d"]
    assert [(part.name, part.width(0), part.serving_bytes()) for part in exact] == [("t/b", 12, 240), ("t/c", 4, 32)]
    assert all(torch.equal(part.remap(torch.arange(2), 0), torch.arange(2).unsqueeze(0)) for part in exact)
    assert Unified.size_for(vocabularies, 4, spec) == 10 * 16 + 240 + 32
    (alone,) = Unified.build("t", vocabularies[2:3], 4, spec)
    assert alone.serving_bytes() == 32


def test_any_key_has_a_row() -> None:
    keys = xxhash64_keys(pl.Series(["", "a", None])).to_list()
    ids = torch.tensor([*keys, 2**31, 2**31 - 1, 2**63 - 1, -1, -(2**31), -(2**63), 10**12])
    for sizes in ({"item": None}, {"item": 5}):
        row_KV = table(sizes, rows=7, lookups=3).remap(ids, 0)
        assert row_KV.shape == (3, 10)
        assert 0 <= int(row_KV.min()) <= int(row_KV.max()) < 7


def test_the_serving_form_survives_a_file() -> None:
    made = table({"user": None, "item": 30}, dim=8, rows=11, lookups={"item": 2}, probes=2, num_tables=2)
    serving = script(made.serving(random_weights(made)).eval())
    file = io.BytesIO()
    torch.jit.save(serving, file)
    file.seek(0)
    loaded = torch.jit.load(file)
    ids = torch.tensor(GOLDEN_IDS)
    assert all(torch.equal(loaded(ids, feature_index), serving(ids, feature_index)) for feature_index in (0, 1))
    assert all(torch.equal(copy.deepcopy(made).remap(ids, i), made.remap(ids, i)) for i in (0, 1))


def test_a_run_of_another_version_of_the_hashes_is_refused(tmp_path: Path) -> None:
    """A run's folder holds its fitted state, without which no model is loaded; signatures of exports say it too."""
    TransformState().save(tmp_path)
    path = tmp_path / "state.json"
    assert json.loads(path.read_text())["hash_version"] == HASH_VERSION
    path.write_text(json.dumps(json.loads(path.read_text()) | {"hash_version": HASH_VERSION + 1}))
    write_checksums(tmp_path, ["state.json"])
    with pytest.raises(DataError, match=rf"hash_version must be {HASH_VERSION}, got {HASH_VERSION + 1}"):
        TransformState.load(tmp_path)


def test_probes_keep_bytes_and_width() -> None:
    wide, narrow = (table({"a": 100, "b": 100}, dim=16, rows=50, lookups={"b": 2}, probes=k) for k in (1, 4))
    assert narrow.serving_bytes() == wide.serving_bytes() == 50 * 16 * 4
    assert [(t.rows, t.dim) for t in narrow.physical_tables()] == [(200, 4)]
    weights = random_weights(narrow)
    for feature_index in (0, 1):
        assert (
            narrow.width(feature_index)
            == wide.width(feature_index)
            == narrow.serving(weights)(torch.arange(3), feature_index).shape[1]
        )
        assert len(narrow.tables(feature_index)) == 4 * len(wide.tables(feature_index))


@pytest.mark.parametrize("n", [1, 2, 4])
def test_several_tables_have_the_bytes_of_one(n: int) -> None:
    made = table({f"C{i}": 1000 for i in range(20)}, rows=100, num_tables=n)
    assert [t.rows for t in made.physical_tables()] == [100 // n] * n
    assert made.serving_bytes() == 100 * 4 * 4
    row_KV = torch.cat([made.remap(torch.arange(1000), feature_index) for feature_index in range(20)])
    assert int(row_KV.max()) == 100 // n - 1


def test_lookups_of_one_feature_go_round_the_tables() -> None:
    made = table({"a": None}, rows=100, lookups=4, num_tables=4)
    assert len({t.name for t in made.tables(0)}) == 4


# --- budgets ----------------------------------------------------------------------------------------------------------

SIZES = {f"C{i}": n for i, n in enumerate(CRITEO, 1)}


@pytest.mark.parametrize("keys", [{}, {"lookups": 2, "num_tables": 3}, {"lookups": {"C3": 4}, "probes": 2}])
@pytest.mark.parametrize("budget", ["1MB", "50kB", 0.1, 0.001])
def test_a_budget_is_kept_and_used_up(budget: str | float, keys: dict[str, Any]) -> None:
    spec = UnifiedTable(features=tuple(SIZES), scheme="unified", budget=budget, **keys)
    vocabularies = [FeatureVocabulary(*item) for item in SIZES.items()]
    parts = build_schemes(ResolvedTable(name="t", fields=tuple(SIZES), dim=16, spec=spec), vocabularies)
    allowed = {"1MB": 10**6, "50kB": 50_000}[budget] if isinstance(budget, str) else budget * sum(CRITEO) * 64
    found = sum(part.serving_bytes() for part in parts)
    num_tables = keys.get("num_tables", 1)
    assert found <= allowed < found + num_tables * 64 + 64
    assert isinstance(parts[0], Unified)
    assert parts[0].spec.budget is None


def test_a_table_needs_no_more_rows_than_it_can_use() -> None:
    spec = UnifiedTable(features=("a", "b"), scheme="unified", budget="1GB", lookups={"a": 3})
    planned = ResolvedTable(name="t", fields=("a", "b"), dim=4, spec=spec)
    (hashed, exact) = build_schemes(planned, [FeatureVocabulary("a", 100), FeatureVocabulary("b", 5)])
    assert [t.rows for t in hashed.physical_tables()] == [300]
    assert exact.serving_bytes() == 80


def test_a_budget_that_small_vocabularies_alone_exceed_names_the_floor() -> None:
    spec = UnifiedTable(features=("a", "b"), scheme="unified", budget="90B")
    planned = ResolvedTable(name="t", fields=("a", "b"), dim=4, spec=spec)
    with pytest.raises(ConfigError, match=r"unified cannot be made as small as 90 B; the least it can be is 96 B"):
        build_schemes(planned, [FeatureVocabulary("a", 100), FeatureVocabulary("b", 5)])
