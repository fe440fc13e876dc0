"""DIN's mini-batch aware regularisation: the acceptance checks 14 to 17 of the paper's section 5.1."""

from collections.abc import Callable

import pytest
import torch

from recsys.data.rows import Rows
from recsys.embeddings import Layout, count_rows
from recsys.testing.tiny_tables import look_up, rows, sharded
from recsys.training.strategy import table_weights

ONE = {"user": {"type": "id"}}


def users(*ids: int) -> Rows:
    batch = rows(list(ids), [], [], [])
    return Rows({"user": batch.single["user"]}, {}, batch.numbers, batch.labels, None, None, len(ids), len(ids))


def step(layout: Layout, model: torch.nn.Module, batch: Rows, counts: dict[str, torch.Tensor], penalty: float) -> None:
    """One backward pass of nothing but the penalty, the rows moved by SGD with rate 1."""
    collated = layout.collate(batch, row_counts=counts)
    looked = look_up(model, layout, collated)  # type: ignore[arg-type]
    coefficients = collated.penalties["user"]
    loss = sum((r.square().sum(dim=1) * c).sum() / 2 for r, c in zip(looked["user"], coefficients, strict=True))
    (penalty * loss).backward()  # type: ignore[union-attr]


@pytest.fixture
def layout(make_layout: Callable[..., Layout]) -> Layout:
    return make_layout({}, features=ONE, num_ids={"user": 10}, regularized=True)


def weight(model: torch.nn.Module) -> torch.Tensor:
    return table_weights(model)["user_table"]  # type: ignore[arg-type]


def test_absent_rows_stay_and_five_uses_count_once(layout: Layout) -> None:
    model = sharded(layout)
    before = weight(model).clone()
    counts = {"user_table": torch.full((10,), 4.0)}
    step(layout, model, users(3, 7, 7, 7, 7, 7), counts, 0.2)
    torch.testing.assert_close(weight(model)[[3, 7]], before[[3, 7]] * (1 - 0.2 / 4))
    untouched = [0, 1, 2, 4, 5, 6, 8, 9]
    assert torch.equal(weight(model)[untouched], before[untouched])


def test_an_epoch_shrinks_rare_and_frequent_rows_alike(layout: Layout) -> None:
    model = sharded(layout)
    before = weight(model).clone()
    data = [users(1)] * 50 + [users(2)] * 2
    counts = count_rows(layout, data)
    for batch in data:
        step(layout, model, batch, counts, 0.5)
    after = weight(model)
    torch.testing.assert_close(after[1], before[1] * (1 - 0.5 / 50) ** 50)
    torch.testing.assert_close(after[2], before[2] * (1 - 0.5 / 2) ** 2)


def test_the_whole_data_as_one_batch_is_l2_over_counts(layout: Layout) -> None:
    model = sharded(layout)
    before = weight(model).clone()
    data = users(1, 1, 1, 2)
    step(layout, model, data, count_rows(layout, [data]), 0.3)
    torch.testing.assert_close(weight(model)[1], before[1] * (1 - 0.3 / 3))
    torch.testing.assert_close(weight(model)[2], before[2] * (1 - 0.3))


def test_without_lambda_nothing_moves(layout: Layout) -> None:
    model = sharded(layout)
    before = weight(model).clone()
    step(layout, model, users(1, 2), {"user_table": torch.ones(10)}, 0.0)
    assert torch.equal(weight(model), before)


def test_shrink_per_use_goes_with_one_over_the_count(layout: Layout) -> None:
    model = sharded(layout)
    before = weight(model).clone()
    counts = torch.ones(10)
    counts[2] = 1000
    step(layout, model, users(1, 2), {"user_table": counts}, 0.5)
    shrink = 1 - weight(model) / before
    torch.testing.assert_close(shrink[1] / shrink[2], torch.full((4,), 1000.0), rtol=0.02, atol=0)


def test_rows_are_counted_over_all_fields_of_a_table(make_layout: Callable[..., Layout]) -> None:
    layout = make_layout({}, regularized=True)
    data = rows(user=[1, 1], item=[5, 6], tags=[[], [3, 3]], clicks=[[5], [5, 6]])
    counts = count_rows(layout, [data, data])
    assert counts["item_table"].tolist() == [0, 0, 0, 0, 0, 6, 4]
    assert counts["tags_table"].tolist() == [0, 0, 0, 4, 0]


def test_a_row_read_by_two_fields_of_a_batch_is_penalized_once(make_layout: Callable[..., Layout]) -> None:
    layout = make_layout({}, regularized=True)
    data = rows(user=[1], item=[5], tags=[[]], clicks=[[5, 5]])
    penalties = layout.collate(
        data, row_counts={name: torch.full((10,), 2.0) for name in layout.physical_tables}
    ).penalties
    total = float(penalties["item"].sum() + penalties["clicks"].sum())
    assert total == pytest.approx(1 / 2)


def test_counts_go_on_beyond_what_float32_can_count(layout: Layout) -> None:
    many = users(*[1] * 2**16)
    counts = count_rows(layout, [many] * 260)  # 2**24 is 256 times as many
    assert counts["user_table"][1] == 260 * 2**16
