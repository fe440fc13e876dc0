"""Rows of integers: rounding at random, and the optimizer's step fused with the backward pass."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from recsys.config import Config, DenseOptimizer, ResolvedTable, SparseOptimizer, TrainSection, resolve
from recsys.config.schemes import SCHEMES
from recsys.config.schemes.int8 import Int8Table
from recsys.config.schemes.int16 import Int16Table
from recsys.data.rows import Rows
from recsys.embeddings import Batch, Layout
from recsys.embeddings.budget import full_bytes
from recsys.embeddings.build import build_schemes
from recsys.embeddings.scheme import FeatureVocabulary, tensor_bytes
from recsys.embeddings.schemes import integer_table
from recsys.embeddings.schemes.integer import Integer
from recsys.embeddings.schemes.integer_table import round_at_random
from recsys.embeddings.schemes.row_optimizer import RowOptimizer
from recsys.errors import ConfigError
from recsys.losses import Sigmoid
from recsys.model import CtrModel
from recsys.testing.schemes import looked_up
from recsys.testing.tiny_tables import Tables, rows
from recsys.training.scoring import score
from recsys.training.strategy import shard, table_weights
from recsys.training.task import CtrTask

SHARED = {"all": {"features": ["user", "item", "tags"]}}
BATCH = rows(user=[0, 9, 9, 3], item=[1, 6, 0, 2], tags=[[], [4], [1, 1, 2], [0]], clicks=[[], [6, 1], [3], [2, 2]])
OPTIMIZERS = ["rowwise_adagrad", "adagrad", "sgd"]


def int16(num_ids: int = 10, *, scale: float = 1e-4, dim: int = 4, **optimizer: Any) -> Integer:
    spec = Int16Table(features=("f",), scheme="int16", scale=scale)
    scheme = Integer("t", [FeatureVocabulary("f", num_ids)], dim, spec)
    scheme.use_optimizer(SparseOptimizer.model_validate({"name": "sgd", "lr": 1.0} | optimizer))
    return scheme


def read(scheme: Integer, *ids: int) -> Tensor:
    return scheme.combine([], torch.tensor(ids, dtype=torch.int64), 0)


def copies(scheme: torch.nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in scheme.state_dict().items()}


def test_rounding_at_random_keeps_the_mean_and_clamps() -> None:
    torch.manual_seed(0)
    for value in (0.3, -2.7, 100.01, -0.5):
        codes = round_at_random(torch.full((100_000,), value), torch.int8).double()
        assert set(codes.tolist()) == {float(torch.tensor(value).floor()), float(torch.tensor(value).ceil())}
        sigma = float(codes.std()) / 100_000**0.5
        assert abs(float(codes.mean()) - value) < 4 * sigma
        assert float(codes.var()) <= 0.25 * 1.001
    wild = torch.tensor([127.9, 128.0, 1e9, -128.9, -1e9])
    assert {tuple(round_at_random(wild, torch.int8).tolist()) for _ in range(50)} == {(127, 127, 127, -128, -128)}


def test_a_value_that_is_a_code_never_changes() -> None:
    whole = torch.arange(-32768.0, 32768.0)
    for _ in range(20):  # floor(value + u) would go up at times: above 16384 every u > 0.999 is rounded to 1
        assert torch.equal(round_at_random(whole, torch.int16).float(), whole)


def test_steps_below_the_scale_move_the_mean_and_would_be_lost_by_rounding_to_the_nearest() -> None:
    torch.manual_seed(0)
    spec = Int8Table(features=("f",), scheme="int8", scale=0.01)
    scheme = Integer("t", [FeatureVocabulary("f", 50_000)], 4, spec)
    scheme.use_optimizer(SparseOptimizer(name="sgd", lr=0.001))
    before = scheme.codes.clone()
    values = scheme.combine([], torch.arange(50_000), 0)
    (0.7 * values).sum().backward()
    assert torch.equal(((before * 0.01 - 0.001 * 0.7) / 0.01).round(), before)
    moved = (scheme.codes.double() - before) * 0.01
    sigma = 0.01 * 0.07**0.5 / 200_000**0.5
    assert abs(float(moved.mean()) + 0.001 * 0.7) < 4 * sigma


def test_small_weights_in_16_bits_are_floats_but_for_one_step_of_the_scale() -> None:
    weights = torch.empty(1000, 8).normal_(std=0.01, generator=torch.Generator().manual_seed(0))
    for scale in (1e-5, 1e-6):
        codes = (weights / scale).clamp(-32768, 32767)
        within = codes * scale
        nearest = codes.round().to(torch.int16).float() * scale
        drawn = round_at_random(codes, torch.int16).float() * scale
        assert float((nearest - within).abs().max()) <= scale * 0.501
        assert float((drawn - within).abs().max()) < scale * 1.001


@pytest.mark.parametrize("eps", [1e-8, 0.1])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_with_a_small_scale_training_is_that_of_the_float_table(
    make_layout: Callable[..., Layout], optimizer: str, eps: float
) -> None:
    """Five steps on rows that several fields read, and one field several times; FBGEMM's kernel is the reference."""
    config = SparseOptimizer.model_validate({"name": optimizer, "lr": 1e-5 if optimizer == "sgd" else 1e-3, "eps": eps})
    layouts = {
        "full": make_layout(SHARED, jagged=True, regularized=True),
        "int16": make_layout({"all": {**SHARED["all"], "scheme": "int16", "scale": 1e-6}}, jagged=True),
    }
    models = {name: shard(Tables(layout), config, device=torch.device("cpu")) for name, layout in layouts.items()}  # type: ignore[arg-type]
    (floats,), (scheme,) = table_weights(models["full"]).values(), layouts["int16"].schemes.values()
    assert isinstance(scheme, Integer)
    start = torch.randint(-20_000, 20_000, scheme.codes.shape)
    scheme.codes.copy_(start)
    floats.copy_(start * 1e-6)
    weights = torch.randn(4, 4, 4)
    for step in range(1, 6):
        for name, model in models.items():
            vectors = looked_up(model, layouts[name], layouts[name].collate(BATCH))
            losses = [
                torch.tanh(50 * vector @ weight).square().sum()
                for vector, weight in zip(vectors.values(), weights, strict=True)
            ]
            torch.stack(losses).sum().backward()
        assert float((scheme.codes * 1e-6 - floats).abs().max()) < 2e-6 * step
    assert float((floats - start * 1e-6).abs().max()) > 5e-4
    for moments in models["full"].fused_optimizer.state_dict()["state"].values():
        for moment in moments.values():
            expected = moment.local_shards()[0].tensor.view(22, -1)
            assert scheme.optimizer is not None
            torch.testing.assert_close(scheme.optimizer.squares, expected, rtol=2e-3, atol=1e-7)


def test_adam_is_that_of_torch_where_every_row_is_read() -> None:
    ours = RowOptimizer(SparseOptimizer(name="adam", lr=0.1, eps=1e-3), num_rows=5, dim=3)
    weight = torch.nn.Parameter(torch.randn(5, 3))
    row_U, value_UD = torch.arange(5), weight.detach().clone()
    torchs = torch.optim.Adam([weight], lr=0.1, eps=1e-3)
    for _ in range(4):
        weight.grad = torch.randn(5, 3)
        torchs.step()
        value_UD -= ours(row_U, weight.grad)
        torch.testing.assert_close(value_UD, weight.detach())


def test_the_gradient_is_that_of_finite_differences_in_every_use_of_a_row(
    make_layout: Callable[..., Layout],
) -> None:
    """SGD with rate 1 moves the rows by the gradient; target and history share rows, and the first id is read too."""
    layout = make_layout({"all": {**SHARED["all"], "scheme": "int16", "scale": 1e-4}}, jagged=True)
    config = SparseOptimizer(name="sgd", lr=0.01)
    model = shard(Tables(layout), config, device=torch.device("cpu"))  # type: ignore[arg-type]
    (scheme,) = layout.schemes.values()
    assert isinstance(scheme, Integer)

    def loss() -> Tensor:
        vectors = looked_up(model, layout, layout.collate(BATCH))
        clicks = vectors["clicks"] * vectors["item"][[1, 1, 2, 3, 3]]
        return (vectors["user"].exp() * vectors["item"]).sum() + vectors["tags"].square().sum() + clicks.sum()

    before = scheme.codes.clone()
    torch.manual_seed(0)
    mean = torch.zeros(before.shape, dtype=torch.float64)
    for _ in range(400):
        scheme.codes.copy_(before)
        loss().backward()
        mean += (before.double() - scheme.codes) * 1e-4 / 0.01 / 400
    for row, column in ((0, 0), (9, 3), (10, 1), (11, 0), (16, 2), (18, 1), (21, 0)):
        values = []
        for sign in (100, -100):
            scheme.codes.copy_(before)
            scheme.codes[row, column] += sign
            with torch.no_grad():
                values.append(float(loss().double()))
        assert float(mean[row, column]) == pytest.approx((values[0] - values[1]) / 0.02, abs=2.5e-3), (row, column)


def test_first_and_last_id_duplicates_and_an_empty_batch() -> None:
    scheme = int16(scale=1e-3)
    before = scheme.codes.clone()
    (2 * read(scheme)).sum().backward()
    assert torch.equal(scheme.codes, before)
    values = read(scheme, 0, 9, 9)
    assert torch.equal(values, before[[0, 9, 9]].float() * 1e-3)
    (0.002 * values).sum().backward()
    changed = scheme.codes - before
    assert changed[:, 0].tolist() == pytest.approx([-2, 0, 0, 0, 0, 0, 0, 0, 0, -4], abs=1)
    with pytest.raises(IndexError):
        read(scheme, 10)


def test_no_update_is_lost_where_a_row_is_read_by_several_lookups() -> None:
    once, often = int16(name="rowwise_adagrad", lr=0.1), int16(name="rowwise_adagrad", lr=0.1)
    often.load_state_dict(once.state_dict())
    (3 * read(once, 4, 5)).sum().backward()
    (read(often, 4, 5) + read(often, 4, 5) + read(often, 5, 4).flip(0)).sum().backward()
    assert torch.equal(once.codes, often.codes)
    assert once.optimizer is not None
    assert often.optimizer is not None
    torch.testing.assert_close(once.optimizer.squares, often.optimizer.squares)


def test_a_pass_without_a_backward_pass_changes_and_keeps_nothing() -> None:
    scheme = int16(name="adagrad")
    before = copies(scheme)
    with torch.no_grad():
        assert not read(scheme, 1, 2).requires_grad
    for _ in range(3):
        read(scheme, 1, 2)
    state = torch.get_rng_state()
    read(scheme.eval(), 1, 2)
    assert torch.equal(torch.get_rng_state(), state)
    after = copies(scheme)
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert not scheme._gradients


def test_a_graph_that_is_kept_may_be_gone_through_again() -> None:
    scheme = int16(lr=0.01)
    before = scheme.codes.clone()
    loss = read(scheme, 3).sum()
    loss.backward(retain_graph=True)
    loss.backward()
    assert scheme.codes[3].tolist() == pytest.approx((before[3] - 200).tolist(), abs=2)
    assert not scheme._gradients


def test_a_backward_pass_that_was_broken_off_leaves_nothing_behind() -> None:
    def fail(gradient: Tensor) -> None:
        raise RuntimeError("broken off")

    scheme = int16(lr=0.01)
    before = scheme.codes.clone()
    late, early = read(scheme, 1).requires_grad_(), read(scheme, 2)
    joined = late * 1
    joined.register_hook(fail)
    with pytest.raises(RuntimeError, match="broken off"):
        (joined.sum() + early.sum()).backward()
    assert torch.equal(scheme.codes, before)
    read(scheme, 3).sum().backward()
    assert (scheme.codes != before).any(dim=1).nonzero().flatten().tolist() == [3]


@pytest.mark.parametrize("optimizer", [*OPTIMIZERS, "adam"])
def test_training_goes_on_bit_for_bit_from_saved_state(optimizer: str) -> None:
    def step(scheme: Integer) -> None:
        values = read(scheme, 1, 1, 7, 0)
        (values.sin() * torch.arange(4)).sum().backward()

    first, second = int16(name=optimizer, lr=0.01), int16(name=optimizer, lr=0.01)
    for rate in first.lr_buffers():
        rate.mul_(0.3)
    step(first)
    second.load_state_dict(copies(first))
    for scheme in (first, second):
        step(scheme)
        torch.rand(3)  # what others draw does not matter
        step(scheme)
    states = copies(first), copies(second)
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert [float(rate) for rate in second.lr_buffers()] == [0.01 * 0.3]


def test_rows_are_drawn_chunk_by_chunk_from_the_usual_distribution(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(integer_table, "CHUNK", 777)
    torch.manual_seed(0)
    codes = int16(20_001, scale=1e-4).codes.double()
    assert float(codes.mean()) == pytest.approx(0, abs=2)
    assert float(codes.std()) == pytest.approx(100, rel=0.02)
    assert float(codes[20_000:].abs().sum()) > 0
    assert abs(float(torch.corrcoef(torch.stack([codes[:777, 0], codes[777:1554, 0]]))[0, 1])) < 0.15


def test_training_needs_no_more_than_serving_but_the_state_of_the_optimizer() -> None:
    scheme = int16(num_ids=100)
    for optimizer, state in {"sgd": 0, "rowwise_adagrad": 4 * 100, "adagrad": 4 * 400, "adam": 8 * 400 + 8}.items():
        scheme.use_optimizer(SparseOptimizer.model_validate({"name": optimizer, "lr": 1.0}))
        rate, draws = 8, 16
        assert scheme.bytes("training", sparse=optimizer, dense="adam") == tensor_bytes(scheme)
        assert tensor_bytes(scheme) == scheme.serving_bytes() + state + rate + draws


@pytest.mark.parametrize(("name", "share"), [("int8", 0.25), ("int16", 0.5), ("alpt", 0.3125)])
def test_a_budget_below_the_only_size_names_it_as_the_floor(name: str, share: float) -> None:
    vocabularies = [FeatureVocabulary("f", 3_000_000), FeatureVocabulary("g", 1_000_000)]
    for budget in (share, share + 0.2, share - 0.001):
        spec: Any = SCHEMES[name].model_validate({"features": ("f", "g"), "scheme": name, "budget": budget})
        table = ResolvedTable(name="t", spec=spec, dim=16, fields=("f", "g"))
        if budget >= share:
            with torch.device("meta"):
                (scheme,) = build_schemes(table, vocabularies)
            full = full_bytes(vocabularies, 16)
            assert full is not None
            assert scheme.serving_bytes() == share * full
        else:
            with pytest.raises(ConfigError, match=rf"scheme {name} cannot .* least it can be is {share * 256:.1f} MB"):
                build_schemes(table, vocabularies)


SIZES = {"a": 100_000, "b": 30_000, "c": 5_000, "d": 500, "e": 20}


def planted(num_rows: int, seed: int) -> Rows:
    """Ids by a power law; each id has an effect of its own, and those of two pairs of fields interact."""
    random = torch.Generator().manual_seed(seed)
    truths = {
        field: torch.randn(size, 5, generator=torch.Generator().manual_seed(size)) for field, size in SIZES.items()
    }
    single = {
        field: (size ** torch.rand(num_rows, generator=random, dtype=torch.float64)).long().clamp(max=size - 1)
        for field, size in SIZES.items()
    }
    of = {field: 0.6 * truths[field][ids] for field, ids in single.items()}
    pairs = of["c"][:, 1:] * of["d"][:, 1:] + of["b"][:, 1:] * of["e"][:, 1:]
    logits = torch.stack([effects[:, 0] for effects in of.values()]).sum(dim=0) + pairs.sum(dim=1) - 1
    labels = (torch.rand(num_rows, generator=random) < torch.sigmoid(logits)).float()
    return Rows(single, {}, torch.zeros(num_rows, 0), labels.unsqueeze(1), None, None, num_rows, num_rows)


def batches(layout: Layout, made: Rows, order: Tensor, batch_size: int) -> Iterator[Batch]:
    for place in order.split(batch_size):
        single = {field: ids[place] for field, ids in made.single.items()}
        yield layout.collate(
            Rows(single, {}, made.numbers[place], made.labels[place], None, None, len(place), len(place))
        )


def valid_auc(table: dict[str, Any], seed: int) -> float:
    """Train two epochs of 200,000 rows."""
    torch.manual_seed(seed)
    content = {
        "label": "y",
        "features": {field: {"type": "id"} for field in SIZES},
        "tables": {"all": {"features": list(SIZES), **table}},
        "model": {"tower": "mlp", "dim": 16, "mlp": [64, 32]},
    }
    resolved = resolve(Config.model_validate(content, strict=False), [])
    layout = Layout(
        resolved, {name: FeatureVocabulary(name, size) for name, size in SIZES.items()}, jagged=False, regularized=False
    )
    train = TrainSection(sparse_optimizer=SparseOptimizer(lr=0.05), dense_optimizer=DenseOptimizer(lr=0.001))
    model = shard(CtrModel(resolved, layout), train.sparse_optimizer, device=torch.device("cpu"))
    task = CtrTask(model, train, ["y"])
    made = planted(200_000, seed)
    for _ in range(2):
        for batch in batches(layout, made, torch.randperm(made.num_rows), 1024):
            task.train_on(batch)
    valid = planted(100_000, seed + 100)
    scores = score(model, batches(layout, valid, torch.arange(valid.num_rows), 16_384), link=Sigmoid())
    return scores.metrics(["y"])["auc"]


@pytest.mark.proof
def test_int16_and_alpt_are_as_good_as_floats_and_a_bad_scale_is_not() -> None:
    """Means of three seeds, whose standard error is about 0.001 in each scheme."""
    tables: dict[str, dict[str, Any]] = {
        "full": {"scheme": "full"},
        "int16": {"scheme": "int16"},
        "alpt": {"scheme": "alpt"},
        "int8": {"scheme": "int8"},
        "int8, coarse": {"scheme": "int8", "scale": 0.1},
        "int8, narrow": {"scheme": "int8", "scale": 0.0005},
    }
    found = {}
    for name, table in tables.items():
        each = [valid_auc(table, seed) for seed in range(3)]
        found[name] = sum(each) / len(each)
        print(f"{name:>12}: AUC {found[name]:.5f} ({', '.join(f'{auc:.5f}' for auc in each)})")
    for name in ("int16", "alpt"):
        assert found[name] > found["full"] - 0.001
    for name in ("int8, coarse", "int8, narrow"):
        assert found[name] < found["full"] - 0.002
