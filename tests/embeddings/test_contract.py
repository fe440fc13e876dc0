"""What every scheme must do, whatever it does inside. A new scheme joins by one line in CASES."""

from collections.abc import Callable
from typing import Any, get_args

import pytest
import torch
from torch import Tensor

from recsys.config import Table
from recsys.embeddings import SCHEMES, Layout, Scheme
from recsys.errors import ConfigError, DataError
from recsys.training.strategy import table_weights

from .conftest import rows, sharded

CASES: dict[str, dict[str, Any]] = {
    "full": {"scheme": "full"},
    "hash": {"scheme": "hash", "rows": 11},
}
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


def vectors(scheme: Scheme, weights: dict[str, Tensor], ids: Tensor, member: int) -> Tensor:
    """Embed ids (V,) one by one with plain indexing: the reference for every lookup."""
    rows_KV = scheme.remap(ids, member)
    looked = [weights[table.name][row_V] for table, row_V in zip(scheme.tables(), rows_KV, strict=True)]
    return scheme.combine(looked, ids, member)


def test_every_scheme_has_a_case() -> None:
    assert set(CASES) == set(SCHEMES)


def test_remap_stays_inside_the_tables_for_the_first_and_the_last_id(one_table: Callable[..., Layout]) -> None:
    scheme = one_table().schemes["all"]
    for member, (_, num_ids) in enumerate(scheme.members):
        assert num_ids is not None
        rows_KV = scheme.remap(torch.arange(num_ids), member)
        assert rows_KV.shape == (len(scheme.tables()), num_ids)
        for table, row_V in zip(scheme.tables(), rows_KV, strict=True):
            assert int(row_V.min()) >= 0
            assert int(row_V.max()) < table.rows


def test_remap_scripts_and_gives_the_same(one_table: Callable[..., Layout]) -> None:
    scheme = one_table().schemes["all"]
    ids = torch.tensor([0, 4, 4, 1])
    scripted = torch.jit.script(Remap(scheme))
    for member in range(len(scheme.members)):
        assert torch.equal(scripted(ids, member), scheme.remap(ids, member))


class Remap(torch.nn.Module):
    def __init__(self, scheme: Scheme) -> None:
        super().__init__()
        self.scheme = scheme

    def forward(self, ids: Tensor, member: int) -> Tensor:
        return self.scheme.remap(ids, member)


@pytest.mark.parametrize("form", sorted(FORMS))
def test_lookup_equals_plain_indexing(one_table: Callable[..., Layout], form: str) -> None:
    layout = one_table(**FORMS[form])
    model = sharded(layout)
    weights = table_weights(model)
    scheme = layout.schemes["all"]
    batch = layout.collate(BATCH)
    found = model.module.lookup(batch)
    for name, read in layout.reads.items():
        each = vectors(scheme, weights, batch.ids[name], read.member)
        empty = batch.ids[name][:0] if read.form == "bag" else batch.ids[name]
        got = scheme.combine(found[name], empty, read.member)
        if read.form == "bag":
            lengths = batch.lengths[name].tolist()
            each = torch.stack([part.sum(dim=0) for part in each.split(lengths)])
        torch.testing.assert_close(got, each)


def test_an_empty_bag_is_zero(one_table: Callable[..., Layout]) -> None:
    layout = one_table()
    found = sharded(layout).module.lookup(layout.collate(BATCH))
    assert all(torch.equal(part[0], torch.zeros_like(part[0])) for part in found["tags"])


def test_the_gradient_of_a_row_is_the_sum_over_its_uses(one_table: Callable[..., Layout]) -> None:
    """SGD with rate 1 in the backward pass must move the rows by the gradient of plain indexing."""
    layout = one_table(jagged=True)
    model = sharded(layout)
    before = {name: weight.clone().requires_grad_() for name, weight in table_weights(model).items()}
    scheme = layout.schemes["all"]
    batch = layout.collate(BATCH)
    expected = sum(
        vectors(scheme, before, batch.ids[name], read.member).square().sum() for name, read in layout.reads.items()
    )
    assert isinstance(expected, Tensor)
    expected.backward()
    found = model.module.lookup(batch)
    each = (scheme.combine(found[n], batch.ids[n], r.member) for n, r in layout.reads.items() if r.form != "bag")
    bags = vectors(scheme, before, batch.ids["tags"], layout.reads["tags"].member)  # its rows: compare sums below
    loss = sum(part.square().sum() for part in each)
    assert isinstance(loss, Tensor)
    loss.backward()
    for name, weight in table_weights(model).items():
        gradient = before[name].grad
        assert gradient is not None
        tag_rows = torch.unique(scheme.remap(batch.ids["tags"], layout.reads["tags"].member))
        others = [row for row in range(len(weight)) if row not in tag_rows.tolist()]
        torch.testing.assert_close(weight[others], (before[name] - gradient)[others].detach())
    assert len(bags) == 5


def test_a_batch_of_one_row(one_table: Callable[..., Layout]) -> None:
    layout = one_table(jagged=True)
    batch = layout.collate(rows(user=[1], item=[1], tags=[[]], clicks=[[]]))
    found = sharded(layout).module.lookup(batch)
    assert found["clicks"][0].shape[0] == 0
    assert found["user"][0].shape[0] == 1


def test_the_same_seed_gives_the_same_rows(one_table: Callable[..., Layout]) -> None:
    first, second = (table_weights(sharded(one_table())) for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert all(float(weight.std()) > 0 for weight in first.values())


def test_bytes_are_those_of_the_tensors_that_exist(one_table: Callable[..., Layout]) -> None:
    layout = one_table()
    model = sharded(layout, optimizer="rowwise_adagrad")
    weights = sum(weight.numel() for weight in table_weights(model).values())
    state = model.fused_optimizer.state_dict()["state"]
    moments = sum(moment.local_shards()[0].tensor.numel() for one in state.values() for moment in one.values())
    scheme = layout.schemes["all"]
    assert scheme.bytes("serving", optimizer="rowwise_adagrad") == 4 * weights
    assert scheme.bytes("training", optimizer="rowwise_adagrad") == 4 * (weights + moments)


@pytest.mark.parametrize("name", sorted(SCHEMES))
def test_the_configuration_knows_which_schemes_take_open_vocabularies(name: str) -> None:
    sections = {get_args(tagged)[1].tag: get_args(tagged)[0] for tagged in get_args(get_args(Table)[0])}
    assert sections[f"scheme={name}"].takes_open == SCHEMES[name].takes_open


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
