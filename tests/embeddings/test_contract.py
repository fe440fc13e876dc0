"""What every scheme must do, whatever it does inside. A new scheme joins by the examples of its section."""

import io
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torchrec.distributed.model_parallel import DistributedModelParallel

from recsys.config import SparseOptimizer
from recsys.config.schemes import SCHEMES
from recsys.embeddings import Layout
from recsys.embeddings.scheme import tensor_bytes
from recsys.errors import ConfigError, DataError
from recsys.export import script
from recsys.training.strategy import table_weights

from .tiny_tables import MANY, final_weights, look_up, rows, sharded, train_steps

CASES: dict[str, dict[str, Any]] = {
    f"{name}-{example}".rstrip("-"): {"scheme": name, **keys}
    for name, section in SCHEMES.items()
    for example, keys in section.examples.items()
}
"""The examples of all schemes, small tables of the fields in conftest; a second one of a scheme is SCHEME-WHAT."""
FORMS = {"pooled": {}, "jagged": {"jagged": True}, "regularized": {"regularized": True}}
BATCH = rows(user=[0, 9, 9, 3], item=[1, 6, 0, 2], tags=[[], [4], [1, 1, 2], [0]], clicks=[[], [6, 1], [3], [2, 2]])


@pytest.fixture(params=sorted(CASES))
def spec(request: pytest.FixtureRequest) -> dict[str, Any]:
    return CASES[request.param]


@pytest.fixture
def one_table(make_layout: Callable[..., Layout], spec: dict[str, Any]) -> Callable[..., Layout]:
    """A layout whose only table holds all features."""

    def make(**form: Any) -> Layout:
        return make_layout({"all": {"features": ["user", "item", "tags"], **spec}}, **form)

    return make


def served(layout: Layout, weights: dict[str, Tensor], field: str, ids: Tensor) -> Tensor:
    """Embed ids (V,) by the serving form of their scheme: the reference for every lookup."""
    read = layout.field_lookups[field]
    vectors: Tensor = layout.schemes[read.scheme].serving(weights).eval()(ids, read.feature_index)
    return vectors


def looked_up(model: DistributedModelParallel, layout: Layout, batch: Any) -> dict[str, Tensor]:
    """Return the combined vectors of every field, as the model makes them."""
    found = look_up(model, layout, batch)
    vectors = {}
    for name, read in layout.field_lookups.items():
        ids = batch.ids[name][:0] if read.form == "bag" else batch.ids[name]
        vectors[name] = layout.schemes[read.scheme].combine(found[name], ids, read.feature_index)
    return vectors


def test_every_scheme_has_a_case() -> None:
    assert {name.partition("-")[0] for name in CASES} == set(SCHEMES)


def test_remap_stays_inside_the_tables_for_the_first_and_the_last_id(one_table: Callable[..., Layout]) -> None:
    for scheme in one_table().schemes.values():
        for feature_index, vocabulary in enumerate(scheme.vocabularies):
            tables = scheme.tables(feature_index)
            rows_KV = scheme.remap(torch.arange(vocabulary.size), feature_index)
            assert rows_KV.shape == (len(tables), vocabulary.size)
            for table, row_V in zip(tables, rows_KV, strict=True):
                assert int(row_V.min()) >= 0
                assert int(row_V.max()) < table.rows


def test_the_serving_form_scripts_and_gives_the_same(one_table: Callable[..., Layout]) -> None:
    layout = one_table()
    weights = final_weights(sharded(layout), layout)
    ids = torch.tensor([0, 4, 4, 1])
    for scheme in layout.schemes.values():
        serving = scheme.serving(weights).eval()
        scripted = script(serving)
        for feature_index in range(len(scheme.vocabularies)):
            vectors = serving(ids, feature_index)
            assert vectors.shape == (4, scheme.width(feature_index))
            torch.testing.assert_close(scripted(ids, feature_index), vectors, rtol=0, atol=0)


@pytest.mark.parametrize("form", sorted(FORMS))
def test_lookup_equals_the_serving_form(one_table: Callable[..., Layout], form: str) -> None:
    layout = one_table(**FORMS[form])
    model = sharded(layout).eval()
    weights = final_weights(model, layout)
    batch = layout.collate(BATCH)
    with torch.no_grad():
        for name, got in looked_up(model, layout, batch).items():
            each = served(layout, weights, name, batch.ids[name])
            if layout.field_lookups[name].form == "bag":
                each = torch.stack([part.sum(dim=0) for part in each.split(batch.lengths[name].tolist())])
            torch.testing.assert_close(got, each, rtol=0, atol=1e-6)


def test_an_empty_bag_is_zero(one_table: Callable[..., Layout]) -> None:
    layout = one_table()
    batch = layout.collate(BATCH)
    vectors = looked_up(sharded(layout).eval(), layout, batch)["tags"]
    if layout.field_lookups["tags"].form == "bag":
        assert torch.equal(vectors[0], torch.zeros_like(vectors[0]))
    else:
        assert len(vectors) == 5  # one vector an id, none for the empty bag


def test_ids_that_are_read_twice_are_equal_and_alone_or_in_a_batch(one_table: Callable[..., Layout]) -> None:
    layout = one_table(jagged=True)
    model = sharded(layout).eval()
    vectors = looked_up(model, layout, layout.collate(BATCH))
    assert torch.equal(vectors["user"][1], vectors["user"][2])
    alone = looked_up(model, layout, layout.collate(rows(user=[9], item=[1], tags=[[]], clicks=[[]])))
    torch.testing.assert_close(alone["user"][0], vectors["user"][1], rtol=0, atol=1e-6)
    assert alone["clicks"].shape[0] == 0


def test_the_gradient_of_a_row_is_the_sum_over_its_uses(one_table: Callable[..., Layout]) -> None:
    """SGD with rate 1 in the backward pass must move the rows by the gradient of plain indexing."""
    layout = one_table(jagged=True)
    model = sharded(layout).eval()
    before = {name: weight.clone().requires_grad_() for name, weight in table_weights(model).items()}
    batch = layout.collate(BATCH)
    plain = torch.zeros(())
    for name, read in layout.field_lookups.items():
        scheme = layout.schemes[read.scheme]
        ids = batch.ids[name]
        tables = scheme.tables(read.feature_index)
        rows_KV = scheme.remap(ids, read.feature_index)
        looked = [before[t.name][row_V] for t, row_V in zip(tables, rows_KV, strict=True)]
        if read.form == "bag":
            looked = [torch.stack([p.sum(dim=0) for p in x.split(batch.lengths[name].tolist())]) for x in looked]
            ids = ids[:0]
        plain = plain + scheme.combine(looked, ids, read.feature_index).square().sum()
    if not before or not plain.requires_grad:
        pytest.skip("no rows of floats")
    expected = torch.autograd.grad(plain, list(before.values()), allow_unused=True)
    loss = sum(vectors.square().sum() for vectors in looked_up(model, layout, batch).values())
    assert isinstance(loss, Tensor)
    loss.backward()
    for (name, weight), gradient in zip(table_weights(model).items(), expected, strict=True):
        moved = before[name] if gradient is None else before[name] - gradient
        torch.testing.assert_close(weight, moved.detach(), rtol=1e-5, atol=1e-6)


def test_gradients_of_own_parameters_agree_with_finite_differences(one_table: Callable[..., Layout]) -> None:
    layout = one_table(jagged=True)
    model = sharded(layout, lr=1e-30).eval()
    batch = layout.collate(BATCH)

    def loss() -> Tensor:
        total = sum(vectors.double().square().sum() for vectors in looked_up(model, layout, batch).values())
        assert isinstance(total, Tensor)
        return total

    for scheme in layout.schemes.values():
        for parameter in scheme.parameters():
            with torch.no_grad():
                parameter.mul_(10)  # away from where everything is nearly 0
    for scheme in layout.schemes.values():
        for name, parameter in scheme.named_parameters():
            (gradient,) = torch.autograd.grad(loss(), parameter, allow_unused=True)
            if gradient is None:
                continue
            place = int(gradient.abs().argmax())
            flat, step = parameter.data.view(-1), 1e-3
            middle = float(flat[place])
            values = []
            for sign in (1, -1):
                flat[place] = middle + sign * step
                with torch.no_grad():
                    values.append(float(loss()))
            flat[place] = middle
            measured = (values[0] - values[1]) / (2 * step)
            found = float(gradient.view(-1)[place])
            assert measured == pytest.approx(found, rel=0.02, abs=1e-4), (scheme.name, name)


def test_the_same_seed_gives_the_same_vectors(one_table: Callable[..., Layout]) -> None:
    def vectors() -> dict[str, Tensor]:
        torch.manual_seed(0)
        layout = one_table()
        return looked_up(sharded(layout).eval(), layout, layout.collate(BATCH))

    first, second = vectors(), vectors()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert any(float(vector.detach().std()) > 0 for vector in first.values())


def test_state_can_be_saved_and_loaded(one_table: Callable[..., Layout]) -> None:
    layout = one_table()
    model = sharded(layout)
    loss = sum(vectors.square().sum() for vectors in looked_up(model, layout, layout.collate(BATCH)).values())
    assert isinstance(loss, Tensor)
    loss.backward()
    file = io.BytesIO()
    schemes = torch.nn.ModuleList(layout.schemes.values())
    torch.save((schemes.state_dict(), {n: w.clone() for n, w in table_weights(model).items()}), file)
    expected = looked_up(model.eval(), layout, layout.collate(BATCH))
    torch.manual_seed(9)
    other = one_table()
    fresh = sharded(other).eval()
    file.seek(0)
    state, weights = torch.load(file)
    torch.nn.ModuleList(other.schemes.values()).load_state_dict(state)
    for name, weight in table_weights(fresh).items():
        weight.copy_(weights[name])
    for name, got in looked_up(fresh, other, other.collate(BATCH)).items():
        assert torch.equal(got, expected[name])


@pytest.mark.parametrize("sparse", ["rowwise_adagrad", "adagrad", "sgd"])
def test_bytes_are_those_of_the_tensors_that_exist(one_table: Callable[..., Layout], sparse: str) -> None:
    layout = one_table()
    model = sharded(layout, optimizer=sparse)
    weights = final_weights(model, layout)
    state = model.fused_optimizer.state_dict()["state"]
    moments = sum(moment.local_shards()[0].tensor.numel() for one in state.values() for moment in one.values())
    own = sum(tensor_bytes(scheme) for scheme in layout.schemes.values())
    parameters = sum(p.numel() for scheme in layout.schemes.values() for p in scheme.parameters())
    stored = 4 * sum(weight.numel() for weight in weights.values())
    found = {
        phase: sum(scheme.bytes(phase, sparse=sparse, dense="adam") for scheme in layout.schemes.values())
        for phase in ("training", "checkpoint", "serving")
    }
    assert found["training"] == found["checkpoint"] == stored + 4 * moments + own + 2 * 4 * parameters
    serving = [scheme.serving(weights) for scheme in layout.schemes.values()]
    assert found["serving"] == sum(tensor_bytes(form) for form in serving)


def test_bytes_are_known_before_any_tensor_exists(make_layout: Callable[..., Layout], spec: dict[str, Any]) -> None:
    """Sizes of a table far larger than memory: nothing of its size may be made."""
    known = ["full", "hash", "unified", "multi_hash", "qr", "tt_rec", "dhe", "robe", "md", "adaptemb", "dpq", "mgqe"]
    if spec["scheme"] not in known:
        pytest.skip("its own codes are tensors of the size of the vocabulary")
    vocabularies = {name: MANY if name == "user" else size for name, size in {"user": 0, "item": 7, "tags": 5}.items()}
    layout = make_layout({"all": {"features": ["user", "item", "tags"], **spec}}, num_ids=vocabularies)
    total = sum(scheme.bytes("serving", sparse="sgd", dense="adam") for scheme in layout.schemes.values())
    assert total > 0


def test_an_open_vocabulary_in_a_scheme_that_takes_none_is_an_error(make_layout: Callable[..., Layout]) -> None:
    with pytest.raises(ConfigError, match=r"tables.user: scheme full takes no open vocabulary, which 'user' has"):
        make_layout({}, features={"user": {"type": "id"}}, num_ids={"user": None})


def test_a_behaviour_may_have_the_name_of_another_field(make_layout: Callable[..., Layout]) -> None:
    sequence = {"type": "sequence", "of": "item", "behaviour": "item"}
    features = {"item": {"type": "id"}, "tags": {**sequence}, "clicks": {**sequence}}
    layout = make_layout({}, features=features, jagged=True)
    batch = rows(user=[1], item=[5], tags=[[3]], clicks=[[5]])
    assert layout.collate(batch).lengths["clicks"].tolist() == [1]
    with pytest.raises(DataError, match=r"tags, clicks: .* got 1 and 2 entries"):
        layout.collate(rows(user=[1], item=[5], tags=[[3]], clicks=[[5, 5]]))


@pytest.mark.parametrize("jagged", [False, True])
def test_no_ids_give_no_vectors_and_gradients_of_zeros(one_table: Callable[..., Layout], jagged: bool) -> None:
    """A rank may have no part of a batch, and the others wait for its gradients."""
    for scheme in one_table(jagged=jagged).schemes.values():
        scheme.use_optimizer(SparseOptimizer(name="sgd"))
        for feature_index in range(len(scheme.vocabularies)):
            looked = [torch.zeros(0, table.dim, requires_grad=True) for table in scheme.tables(feature_index)]
            vectors = scheme.combine(looked, torch.zeros(0, dtype=torch.int64), feature_index)
            assert vectors.shape == (0, scheme.width(feature_index))
            loss = vectors.sum() + sum(found for found in [scheme.pop_aux_loss()] if found is not None)
            loss.backward()
            leaves = scheme.second_pass()
            scheme.finish_step([torch.zeros_like(leaf) for leaf in leaves], 1)
            assert all(rows.grad is not None for rows in looked)
        for name, parameter in scheme.named_parameters():
            assert parameter.grad is not None, name
            assert not parameter.grad.any(), name


def test_a_field_may_be_empty_in_one_batch_and_not_in_the_next(
    make_layout: Callable[..., Layout], spec: dict[str, Any]
) -> None:
    """DistributedDataParallel refuses parameters that some steps use and others do not."""
    losses = train_steps(make_layout, {"all": {"features": ["user", "item", "tags"], **spec}}, steps=3, without_tags=1)
    assert torch.isfinite(torch.tensor(losses)).all()


def test_the_model_trains_on_it(make_layout: Callable[..., Layout], spec: dict[str, Any]) -> None:
    """Some steps of the whole model on planted labels: the loss falls."""
    losses = train_steps(make_layout, {"all": {"features": ["user", "item", "tags"], **spec}}, steps=120)
    assert sum(losses[-10:]) < 0.9 * sum(losses[:10])
