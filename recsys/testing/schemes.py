"""The contract of an embedding scheme: a suite that runs on any scheme, of this package or of your own.

    class TestMyScheme(SchemeContract):
        cases = scheme_cases(MyScheme.section)

Dimension key: V ids, K physical lookups.
"""

import io
from collections.abc import Callable, Collection, Mapping
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor
from torchrec.distributed.model_parallel import DistributedModelParallel

from recsys.config import SparseOptimizer
from recsys.config.schemes import SCHEMES, TableSection
from recsys.config.schemes.base import ServedPrecision
from recsys.embeddings import Layout
from recsys.embeddings.rows import has_rows, store_rows
from recsys.embeddings.scheme import tensor_bytes
from recsys.export import script
from recsys.testing.cases import example_cases
from recsys.testing.tiny_tables import MANY, final_weights, look_up, make_layout, rows, sharded, train_steps
from recsys.training.strategy import table_weights

__all__ = ["BATCH", "FORMS", "SchemeContract", "looked_up", "scheme_cases", "served"]

FIELDS = ["user", "item", "tags"]
FORMS = {"pooled": {}, "jagged": {"jagged": True}, "regularized": {"regularized": True}}
BATCH = rows(user=[0, 9, 9, 3], item=[1, 6, 0, 2], tags=[[], [4], [1, 1, 2], [0]], clicks=[[], [6, 1], [3], [2, 2]])


def scheme_cases(*sections: type[TableSection]) -> dict[str, dict[str, Any]]:
    """Return the keys of example tables by a name for each; without sections, those of all registered schemes."""
    return example_cases(SCHEMES, sections, separator="-")


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


MakeLayout = Callable[..., Layout]


class SchemeContract:
    """Mixin of tests of embedding schemes. Name your subclass Test..., and say in `cases` which schemes it tests.

    Attributes:
        cases: keys of tables, by a name for each; the examples of all registered schemes by default.
        stores_per_id: names of schemes whose own buffers grow with the number of ids, so that they cannot be built for
            a vocabulary larger than the memory.
    """

    cases: ClassVar[Mapping[str, dict[str, Any]]] = {}
    stores_per_id: ClassVar[Collection[str]] = ()

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Run each test that takes `spec` once for each case."""
        if "spec" in metafunc.fixturenames:
            cases = self.cases or scheme_cases()
            metafunc.parametrize("spec", [cases[name] for name in sorted(cases)], ids=sorted(cases))

    @pytest.fixture
    def one_table(self, spec: dict[str, Any]) -> MakeLayout:
        """Return a function that makes a layout whose only table holds all features."""

        def make(**form: Any) -> Layout:
            return make_layout({"all": {"features": FIELDS, **spec}}, **form)

        return make

    def test_remap_stays_inside_the_tables_for_the_first_and_the_last_id(self, one_table: MakeLayout) -> None:
        for scheme in one_table().schemes.values():
            for feature_index, vocabulary in enumerate(scheme.vocabularies):
                tables = scheme.tables(feature_index)
                rows_KV = scheme.remap(torch.arange(vocabulary.size), feature_index)
                assert rows_KV.shape == (len(tables), vocabulary.size)
                for table, row_V in zip(tables, rows_KV, strict=True):
                    assert int(row_V.min()) >= 0
                    assert int(row_V.max()) < table.rows

    def test_the_serving_form_scripts_and_gives_the_same(self, one_table: MakeLayout) -> None:
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

    def test_the_serving_form_is_a_program_of_torch_export_for_any_number_of_ids(self, one_table: MakeLayout) -> None:
        layout = one_table()
        weights = final_weights(sharded(layout), layout)
        for scheme in layout.schemes.values():
            form = _OneFeature(scheme.serving(weights).eval())
            traced, shapes = torch.tensor([0, 4, 4, 1, 2]), ({0: torch.export.Dim.DYNAMIC},)
            with torch.no_grad():
                program = torch.export.export(form, (traced,), dynamic_shapes=shapes, strict=False).module()
            for ids in (torch.tensor([0, 1, 2, 3, 4, 0, 0]), torch.tensor([1]), torch.tensor([], dtype=torch.int64)):
                torch.testing.assert_close(program(ids), form(ids), rtol=0, atol=0)

    @pytest.mark.parametrize("precision", ["fp16", "int8"])
    def test_rows_that_are_served_in_fewer_bits_script_and_give_nearly_the_same(
        self, one_table: MakeLayout, precision: ServedPrecision
    ) -> None:
        layout = one_table()
        weights = final_weights(sharded(layout), layout)
        ids = torch.tensor([0, 4, 4, 1])
        for scheme in layout.schemes.values():
            before, form = scheme.serving(weights).eval(), scheme.serving(weights).eval()
            store_rows(form, precision)
            scripted = script(form)
            for feature_index in range(len(scheme.vocabularies)):
                vectors, expected = form(ids, feature_index), before(ids, feature_index)
                torch.testing.assert_close(scripted(ids, feature_index), vectors, rtol=0, atol=0)
                largest = float(expected.detach().abs().max())
                torch.testing.assert_close(vectors, expected, rtol=0, atol=0.05 * largest)
            assert (tensor_bytes(form) < tensor_bytes(before)) == has_rows(before)

    @pytest.mark.parametrize("form", sorted(FORMS))
    def test_lookup_equals_the_serving_form(self, one_table: MakeLayout, form: str) -> None:
        layout = one_table(**FORMS[form])
        model = sharded(layout).eval()
        weights = final_weights(model, layout)
        batch = layout.collate(BATCH)
        with torch.no_grad():
            for name, got in looked_up(model, layout, batch).items():
                each = served(layout, weights, name, batch.ids[name])
                if layout.field_lookups[name].form == "bag":
                    each = pool(each, batch.lengths[name])
                torch.testing.assert_close(got, each, rtol=0, atol=1e-6)

    def test_an_empty_bag_is_zero(self, one_table: MakeLayout) -> None:
        layout = one_table()
        batch = layout.collate(BATCH)
        vectors = looked_up(sharded(layout).eval(), layout, batch)["tags"]
        if layout.field_lookups["tags"].form == "bag":
            assert torch.equal(vectors[0], torch.zeros_like(vectors[0]))
        else:
            assert len(vectors) == 5  # one vector an id, none for the empty bag

    def test_ids_that_are_read_twice_are_equal_and_alone_or_in_a_batch(self, one_table: MakeLayout) -> None:
        layout = one_table(jagged=True)
        model = sharded(layout).eval()
        vectors = looked_up(model, layout, layout.collate(BATCH))
        assert torch.equal(vectors["user"][1], vectors["user"][2])
        alone = looked_up(model, layout, layout.collate(rows(user=[9], item=[1], tags=[[]], clicks=[[]])))
        torch.testing.assert_close(alone["user"][0], vectors["user"][1], rtol=0, atol=1e-6)
        assert alone["clicks"].shape[0] == 0

    def test_the_gradient_of_a_row_is_the_sum_over_its_uses(self, one_table: MakeLayout) -> None:
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
                looked = [pool(row_Vd, batch.lengths[name]) for row_Vd in looked]
                ids = ids[:0]
            plain = plain + scheme.combine(looked, ids, read.feature_index).square().sum()
        if not before or not plain.requires_grad:
            pytest.skip("no rows of floats")
        expected = torch.autograd.grad(plain, list(before.values()), allow_unused=True)
        loss = sum(vectors.square().sum() for vectors in looked_up(model, layout, batch).values())
        assert isinstance(loss, Tensor)
        torch.autograd.backward(loss)
        for (name, weight), gradient in zip(table_weights(model).items(), expected, strict=True):
            moved = before[name] if gradient is None else before[name] - gradient
            torch.testing.assert_close(weight, moved.detach(), rtol=1e-5, atol=1e-6)

    def test_gradients_of_own_parameters_agree_with_finite_differences(self, one_table: MakeLayout) -> None:
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
                gradient: Tensor | None = torch.autograd.grad(loss(), parameter, allow_unused=True)[0]
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

    def test_the_same_seed_gives_the_same_vectors(self, one_table: MakeLayout) -> None:
        def vectors() -> dict[str, Tensor]:
            torch.manual_seed(0)
            layout = one_table()
            return looked_up(sharded(layout).eval(), layout, layout.collate(BATCH))

        first, second = vectors(), vectors()
        assert all(torch.equal(first[name], second[name]) for name in first)
        assert any(float(vector.detach().std()) > 0 for vector in first.values())

    def test_state_can_be_saved_and_loaded(self, one_table: MakeLayout) -> None:
        layout = one_table()
        model = sharded(layout)
        loss = sum(vectors.square().sum() for vectors in looked_up(model, layout, layout.collate(BATCH)).values())
        assert isinstance(loss, Tensor)
        torch.autograd.backward(loss)
        file = io.BytesIO()
        schemes = torch.nn.ModuleList(layout.schemes.values())
        torch.save((schemes.state_dict(), {n: w.clone() for n, w in table_weights(model).items()}), file)
        expected = looked_up(model.eval(), layout, layout.collate(BATCH))
        torch.manual_seed(9)
        other = one_table()
        fresh = sharded(other).eval()
        file.seek(0)
        state, weights = torch.load(file, weights_only=True)
        torch.nn.ModuleList(other.schemes.values()).load_state_dict(state)
        for name, weight in table_weights(fresh).items():
            weight.copy_(weights[name])
        for name, got in looked_up(fresh, other, other.collate(BATCH)).items():
            assert torch.equal(got, expected[name])

    @pytest.mark.parametrize("sparse", ["rowwise_adagrad", "adagrad", "sgd"])
    def test_bytes_are_those_of_the_tensors_that_exist(self, one_table: MakeLayout, sparse: str) -> None:
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

    def test_bytes_are_known_before_any_tensor_exists(self, spec: dict[str, Any]) -> None:
        """Sizes of a table far larger than memory: nothing of its size may be made."""
        if spec["scheme"] in self.stores_per_id:
            pytest.skip("its own codes are tensors of the size of the vocabulary")
        layout = make_layout({"all": {"features": FIELDS, **spec}}, num_ids={"user": MANY, "item": 7, "tags": 5})
        total = sum(scheme.bytes("serving", sparse="sgd", dense="adam") for scheme in layout.schemes.values())
        assert total > 0

    @pytest.mark.parametrize("jagged", [False, True])
    def test_no_ids_give_no_vectors_and_gradients_of_zeros(self, one_table: MakeLayout, jagged: bool) -> None:
        """A rank may have no part of a batch, and the others wait for its gradients."""
        for scheme in one_table(jagged=jagged).schemes.values():
            scheme.use_optimizer(SparseOptimizer(name="sgd"))
            for feature_index in range(len(scheme.vocabularies)):
                looked = [torch.zeros(0, table.dim, requires_grad=True) for table in scheme.tables(feature_index)]
                vectors = scheme.combine(looked, torch.zeros(0, dtype=torch.int64), feature_index)
                assert vectors.shape == (0, scheme.width(feature_index))
                loss = vectors.sum() + sum(found for found in [scheme.pop_aux_loss()] if found is not None)
                torch.autograd.backward(loss)
                leaves = scheme.gradient_leaves()
                scheme.apply_gradients([torch.zeros_like(leaf) for leaf in leaves], 1)
                assert all(rows.grad is not None for rows in looked)
            for name, parameter in scheme.named_parameters():
                assert parameter.grad is not None, name
                assert not parameter.grad.any(), name

    def test_a_field_may_be_empty_in_one_batch_and_not_in_the_next(self, spec: dict[str, Any]) -> None:
        """DistributedDataParallel refuses parameters that some steps use and others do not."""
        losses = train_steps(make_layout, {"all": {"features": FIELDS, **spec}}, steps=3, without_tags=1)
        assert torch.isfinite(torch.tensor(losses)).all()

    def test_the_model_trains_on_it(self, spec: dict[str, Any]) -> None:
        """Some steps of the whole model on planted labels: the loss falls."""
        losses = train_steps(make_layout, {"all": {"features": FIELDS, **spec}}, steps=120)
        assert sum(losses[-10:]) < 0.9 * sum(losses[:10])


class _OneFeature(torch.nn.Module):
    """The serving form of a scheme for its first feature."""

    def __init__(self, form: torch.nn.Module) -> None:
        super().__init__()
        self.form = form

    def forward(self, id_V: Tensor) -> Tensor:
        vectors: Tensor = self.form(id_V, 0)
        return vectors


def pool(row_Vd: Tensor, lengths_B: Tensor) -> Tensor:
    """Return the sum of the rows of each bag, (B, d)."""
    return torch.stack([bag.sum(dim=0) for bag in torch.split(row_Vd, lengths_B.tolist())])
