"""The acceptance checks 1-8, 18 and 22 of OptEmbed, which concern its gate."""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor

from recsys.config import DenseOptimizer, Regularization, SparseOptimizer, TrainSection
from recsys.data.rows import Rows
from recsys.embeddings.gates.gated import GATED, Gated
from recsys.embeddings.gates.optembed import OptEmbed, open_if_positive, slope
from recsys.embeddings.layout import count_rows
from recsys.embeddings.scheme import StageStep
from recsys.model import CtrModel
from recsys.testing.tiny_tables import make_layout, rows
from recsys.training.strategy import shard, table_weights
from recsys.training.task import CtrTask
from tests.embeddings.gates.tables import gate_of, make_gated, random_weights, train

IDS = torch.tensor([0, 2, 2, 3])


def make(*sizes: int, dim: int = 4, **keys: Any) -> Gated:
    return make_gated({"kind": "optembed", "half_life": None, "warm_up": 0, **keys}, *(sizes or (4,)), dim=dim)


def optembed(table: Gated) -> OptEmbed:
    gate = gate_of(table)
    assert isinstance(gate, OptEmbed)
    return gate


def rows_of_size(*sizes: float, dim: int = 4) -> Tensor:
    """Return rows whose L1 norms are these, with both signs in each."""
    signs = torch.tensor([1.0, -1.0] * (dim // 2))
    return torch.tensor(sizes).unsqueeze(1) * signs / dim


# --- the step function ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("excess", "expected"), [(0, 2), (0.1, 1.6), (0.4, 0.4), (0.400001, 0.4), (1, 0.4), (1.0001, 0)]
)
@pytest.mark.parametrize("sign", [1, -1])
def test_the_slope_of_the_step_is_that_of_the_table_and_even(excess: float, expected: float, sign: int) -> None:
    at = torch.tensor([sign * float(excess)], requires_grad=True)
    open_if_positive(at).backward()
    assert at.grad is not None
    assert float(at.grad) == pytest.approx(expected, abs=1e-5)


def test_the_slope_integrates_to_1_44() -> None:
    middle = (torch.arange(200_000, dtype=torch.float64) + 0.5) / 100_000 - 1
    assert float(slope(middle).mean() * 2) == pytest.approx(1.44, abs=1e-4)


def test_a_row_is_open_or_not_and_not_at_its_threshold() -> None:
    found = open_if_positive(torch.tensor([-1e9, -1e-9, 0.0, 1e-9, 1e9]))
    assert found.tolist() == [0, 0, 0, 1, 1]


# --- gradients --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("norm", ["l1", "l2"])
@pytest.mark.parametrize("threshold", [0.2, 1.2], ids=["open", "closed"])
def test_the_gradient_of_a_row_is_the_direct_one_if_it_is_open_and_that_through_its_norm(
    threshold: float, norm: str
) -> None:
    """The second reaches closed rows too, so that they can return."""
    table = make(mode="rows", norm=norm, threshold=threshold)
    row_Vd = torch.tensor([[0.3, -0.3, 0.2, 0.1]] * 4).requires_grad_()
    at_gated = torch.arange(16.0).view(4, 4) / 8
    table.combine([row_Vd], torch.arange(4), 0).backward(at_gated)
    row = row_Vd.detach()
    size = row.abs().sum(1) if norm == "l1" else row.square().sum(1).sqrt()
    direction = row.sign() if norm == "l1" else row / size.unsqueeze(1)
    at_mask = (at_gated * row).sum(1)
    expected = (at_mask * slope(size - threshold)).unsqueeze(1) * direction
    is_open = bool(size[0] > threshold)
    assert is_open is (threshold == 0.2)
    assert row_Vd.grad is not None
    torch.testing.assert_close(row_Vd.grad, expected + at_gated * is_open)
    assert expected.any()


def test_the_gradient_of_a_threshold_is_that_of_its_rows_and_of_the_regularizer() -> None:
    table = make(4, 3, mode="rows", alpha=0.01)
    gate = optembed(table)
    weight = rows_of_size(0.1, 0.2, 0.3, 2.0, 0.4, 0.5, 0.6)
    gate.threshold.data.copy_(torch.tensor([0.25, 0.7]))
    at_gated = torch.arange(16.0).view(4, 4) / 8
    gated_VD = table.combine([weight[IDS]], IDS, 0)
    loss = table.pop_aux_loss()
    assert loss is not None
    ((gated_VD * at_gated).sum() + loss).backward()
    at_mask = (at_gated * weight[IDS]).sum(1)
    of_rows = -(at_mask * slope(weight[IDS].abs().sum(1) - 0.25)).sum()
    of_regularizer = -0.01 * torch.exp(-gate.threshold.detach())
    assert gate.threshold.grad is not None
    torch.testing.assert_close(gate.threshold.grad, of_regularizer + torch.stack([of_rows, torch.zeros(())]))


def test_of_thresholds_by_row_those_that_are_read_get_gradients_of_the_data_and_all_of_the_regularizer() -> None:
    table = make(mode="rows", alpha=0.01, thresholds="row")
    gate = optembed(table)
    gated_VD = table.combine([rows_of_size(0.1, 0.2, 0.3, 0.4)[IDS]], IDS, 0)
    loss = table.pop_aux_loss()
    assert loss is not None
    ((gated_VD * torch.tensor([1.0, 2, 3, 4])).sum() + loss).backward()
    assert gate.threshold.grad is not None
    assert float(gate.threshold.grad[1]) == pytest.approx(-0.01)
    assert (gate.threshold.grad[[0, 2, 3]] != -0.01).all()


def test_the_regularizer_is_given_once_a_step_and_only_if_rows_were_read() -> None:
    table = make(alpha=0.01)
    rows, nothing = rows_of_size(1, 1, 1, 1), torch.zeros(0, dtype=torch.int64)
    for ids, expected in ((nothing, 0.0), (IDS, 0.01), (nothing, 0.0)):
        table.combine([rows[ids]], ids, 0)
        loss = table.pop_aux_loss()
        assert loss is not None
        assert loss.item() == pytest.approx(expected)


# --- masks of rows ----------------------------------------------------------------------------------------------------


def test_a_negative_threshold_lets_all_rows_pass_and_an_infinite_one_none() -> None:
    """Training is then bit for bit that of the plain table, see test_gated.py."""
    weights = random_weights(make())
    weights["t_table"][1] = 0
    assert torch.equal(make(threshold=-1e-9).gated_rows(weights), weights["t_table"])
    table = make()
    optembed(table).threshold.data.fill_(torch.inf)
    assert not table.gated_rows(weights).any()


def test_l2_prunes_what_l1_prunes_and_more_and_the_same_of_rows_with_one_entry() -> None:
    weights = {"t_table": torch.randn(200, 4, generator=torch.Generator().manual_seed(0))}
    kept = {norm: make(200, norm=norm, threshold=2.0).kept_rows(weights) for norm in ("l1", "l2")}
    assert kept["l1"] is not None
    assert kept["l2"] is not None
    assert not (kept["l2"] & ~kept["l1"]).any()
    assert 0 < int(kept["l2"].sum()) < int(kept["l1"].sum()) < 200
    one_entry = {"t_table": torch.linspace(0, 4, 200).unsqueeze(1) * torch.tensor([0.0, 1.0, 0.0, 0.0])}
    found = [make(200, norm=norm, threshold=2.0).kept_rows(one_entry) for norm in ("l1", "l2")]
    assert torch.equal(found[0], found[1])  # type: ignore[arg-type]


def test_whether_a_row_passes_does_not_depend_on_the_width_that_is_drawn() -> None:
    table = make(threshold=1.0, widths="all").train()
    rows = rows_of_size(0.9, 1.1).repeat_interleave(500, dim=0)
    seen = table.combine([rows], torch.tensor([0, 1]).repeat_interleave(500), 0)
    assert not seen[:500].any()
    assert (seen[500:, 0] != 0).all()
    assert len((seen[500:] != 0).sum(1).unique()) == 4


# --- widths -----------------------------------------------------------------------------------------------------------


def drawn_widths(table: Gated, num: int) -> Tensor:
    """Return the widths of rows in training: their first coordinates, and no others, are left."""
    seen = table.train().combine([torch.ones(num, table.dim)], torch.zeros(num, dtype=torch.int64), 0)
    width_V = seen.sum(1).long()
    assert torch.equal(seen, (torch.arange(table.dim) < width_V.unsqueeze(1)).float())
    return width_V


def test_widths_are_nested_and_uniform_from_1_to_dim() -> None:
    torch.manual_seed(0)
    count = torch.bincount(drawn_widths(make(dim=8, mode="widths", widths="all"), 16_000), minlength=9)
    assert int(count[0]) == 0
    chi_square = float(((count[1:] - 2000.0).square() / 2000).sum())
    assert chi_square < 24.3  # the 0.999 quantile for 7 degrees of freedom


def test_widths_of_samples_and_of_fields_are_independent() -> None:
    torch.manual_seed(0)
    table = make(dim=8, mode="widths", widths="all")
    first, second = (drawn_widths(table, 16_000).double() for _ in range(2))
    for one, other in ((first, second), (first[1:], first[:-1])):
        assert abs(float(torch.corrcoef(torch.stack([one, other]))[0, 1])) < 0.03


def test_widths_are_those_of_the_seed_and_none_are_drawn_in_evaluation() -> None:
    table = make(dim=8, mode="widths", widths="all")
    found = []
    for _ in range(2):
        torch.manual_seed(7)
        found.append(drawn_widths(table, 100))
    assert torch.equal(*found)
    state = torch.get_rng_state()
    whole = table.eval().combine([torch.ones(4, 8)], torch.zeros(4, dtype=torch.int64), 0)
    assert torch.equal(whole, torch.ones(4, 8))
    assert torch.equal(torch.get_rng_state(), state)


def test_a_coordinate_is_kept_and_its_gradient_scaled_by_the_share_of_widths_that_reach_it() -> None:
    torch.manual_seed(0)
    table = make(dim=8, mode="widths", widths="all").train()
    rows = torch.ones(20_000, 8, requires_grad=True)
    table.combine([rows], torch.zeros(20_000, dtype=torch.int64), 0).sum().backward()
    assert rows.grad is not None
    expected = (8 - torch.arange(8.0)) / 8
    torch.testing.assert_close(rows.grad.mean(0), expected, rtol=0, atol=0.02)


def test_widths_may_be_whole_groups_of_dimensions() -> None:
    table = make(dim=16, mode="widths")
    assert sorted(drawn_widths(table, 300).unique().tolist()) == [4, 8, 12, 16]


def test_one_width_leaves_the_pruning_of_rows_alone() -> None:
    weight = rows_of_size(0.5, 1.5, 0.9, 2.0)
    both, rows_only = make(threshold=1.0).train(), make(threshold=1.0, mode="rows").train()
    for one in (both, rows_only):
        assert torch.equal(one.combine([weight], torch.arange(4), 0), weight * torch.tensor([[0.0], [1], [0], [1]]))


def test_the_mode_of_widths_judges_no_rows() -> None:
    table = make(mode="widths")
    assert table.kept_rows(random_weights(table)) is None
    assert table.pop_aux_loss() is None
    assert not list(table.parameters())


# --- decay ------------------------------------------------------------------------------------------------------------

LR, L2, START = 3e-4, 1e-5, 9e-4


def trajectory(kind: type[torch.optim.Optimizer], steps: list[int]) -> list[float]:
    """Return the values of a weight that no batch reads after some steps of a dense optimizer that decays it."""
    weight = torch.nn.Parameter(torch.tensor([START], dtype=torch.float64))
    optimizer = kind([weight], lr=LR, weight_decay=L2, eps=1e-8)  # type: ignore[call-arg]
    found = []
    for step in range(1, max(steps) + 1):
        weight.grad = torch.zeros_like(weight)
        optimizer.step()
        if step in steps:
            found.append(weight.item())
    return found


def test_the_papers_decay_is_that_of_a_dense_adam_with_coupled_l2_and_prunes_what_is_never_read() -> None:
    """The reference: Adam normalizes the penalty's gradient, so the weight falls by about lr a step."""
    first, fifth, last = trajectory(torch.optim.Adam, [1, 5, 300])
    assert first == pytest.approx(7.58e-4, rel=0.005)
    assert fifth == pytest.approx(2.68e-4, rel=0.005)
    assert abs(last) < 1e-9


def test_decoupled_decay_by_learning_rate_and_penalty_prunes_nothing() -> None:
    (last,) = trajectory(torch.optim.AdamW, [300])
    assert last == pytest.approx(START * (1 - LR * L2) ** 300, rel=1e-9)
    assert last > 0.999 * START


@pytest.mark.parametrize(("half_life", "steps_per_epoch"), [(1.0, 10), (0.5, 100), (2.0, 640), (0.01, 10)])
def test_rows_halve_in_every_half_life_whether_they_are_read_or_not(half_life: float, steps_per_epoch: int) -> None:
    table = make(half_life=half_life)
    weights = random_weights(table)
    before = weights["t_table"].clone()
    num_steps = 3 * max(1, round(half_life * steps_per_epoch))
    for step in range(1, num_steps + 1):
        table.after_step(StageStep(step, num_steps, steps_per_epoch), weights)
    expected = before * 2 ** (-num_steps / (half_life * steps_per_epoch))
    torch.testing.assert_close(weights["t_table"], expected, rtol=1e-4, atol=0)


@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_the_decay_slows_down_with_the_learning_rates(rate: float) -> None:
    table = make(half_life=1.0)
    weights = random_weights(table)
    before = weights["t_table"].clone()
    for step in range(1, 11):
        table.after_step(StageStep(step, 10, 10, rate), weights)
    torch.testing.assert_close(weights["t_table"], before * 2**-rate, rtol=1e-4, atol=0)


@pytest.mark.parametrize("sparse", ["rowwise_adagrad", "adagrad", "sgd"])
def test_fused_optimizers_leave_rows_that_are_not_read_as_they_are_and_only_the_decay_shrinks_them(sparse: str) -> None:
    """Batches of the first steps read some of the 10 users; the rows of the others are compared."""
    fresh = train(None, steps=0).weights["user_table"]
    lazy = train({"kind": "optembed", "half_life": None, "alpha": 0.0}, steps=1, sparse=sparse)
    decayed = train({"kind": "optembed", "half_life": 0.25}, steps=1, sparse=sparse).weights["user_table"]
    unread = (lazy.weights["user_table"] == fresh).all(1)
    assert 0 < int(unread.sum()) < 10
    torch.testing.assert_close(decayed[unread], fresh[unread] / 2)
    table = lazy.schemes["user"]
    assert isinstance(table, Gated)
    kept = copy.deepcopy(table).kept_rows(lazy.weights)
    assert kept is not None
    assert kept[unread].all()


# --- warm-up ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("epochs", "num_epochs", "warm_steps"), [(0, 8, 0), (1, 8, 10), (1.25, 8, 13), (5, 8, 20), (5, 40, 50), (5, 1, 3)]
)
def test_thresholds_wait_for_the_end_of_the_warm_up(epochs: float, num_epochs: int, warm_steps: int) -> None:
    """Of two rows, one is below its threshold; the threshold is not pulled at either while it waits."""
    table = make(dim=4, mode="rows", threshold=1.0, warm_up=epochs)
    gate, row_Vd = optembed(table), rows_of_size(0.5, 2.0)
    for step in range(1, warm_steps + 3):
        gate.threshold.grad = None
        gated = gate([row_Vd], torch.tensor([1, 2]))
        loss = gate.pop_loss()
        assert loss is not None
        (gated.square().sum() + loss).backward()
        is_warming_up = step <= warm_steps
        torch.testing.assert_close(gated, row_Vd if is_warming_up else rows_of_size(0.0, 2.0), rtol=0, atol=0)
        assert gate.threshold.grad is not None
        assert bool(gate.threshold.grad == 0) == is_warming_up
        table.after_step(StageStep(step, num_epochs * 10, steps_per_epoch=10), random_weights(table))


# --- all together -----------------------------------------------------------------------------------------------------

NUM_GOOD, NUM_NOISE, NUM_UNSEEN = 20, 200, 80


def planted_batch(draw: torch.Generator, num_rows: int = 128) -> Rows:
    """Draw rows in which every other user is one of a few that click always or never; the others click by chance.

    Ids from 1: first those that matter, then noise, then ids that are in no row.
    """
    is_good = torch.rand(num_rows, generator=draw) < 0.5
    good = torch.randint(1, NUM_GOOD + 1, (num_rows,), generator=draw)
    noise = torch.randint(NUM_GOOD + 1, NUM_GOOD + NUM_NOISE + 1, (num_rows,), generator=draw)
    user = torch.where(is_good, good, noise)
    item = torch.randint(1, 7, (num_rows,), generator=draw)
    made = rows(user.tolist(), item.tolist(), [[] for _ in user], [[] for _ in user])
    chance = torch.where(is_good, 0.1 + 0.8 * (good % 2), torch.tensor(0.5))
    made.labels[:, 0] = (torch.rand(num_rows, generator=draw) < chance).float()
    return made


@pytest.mark.slow
@pytest.mark.parametrize("sparse", [{"name": "adagrad", "lr": 0.05}, {"name": "rowwise_adagrad", "lr": 0.02}], ids=str)
def test_rows_that_are_never_read_come_last_before_noise_and_thresholds_part_them_from_those_that_matter(
    sparse: dict[str, Any],
) -> None:
    """Noise is read 13 times an epoch; it pays on the rows that it is learnt from, and rows are penalized against that.

    Thresholds are cautious: with row-wise Adagrad they end just below 0, and only the order of rows tells.
    """
    torch.manual_seed(0)
    tables = {"user": {"features": ["user"], "scheme": GATED, "gate": "optembed", "dim": 16}}
    num_ids = {"user": 1 + NUM_GOOD + NUM_NOISE + NUM_UNSEEN, "item": 7, "tags": 5}
    layout = make_layout(tables, num_ids=num_ids, regularized=True)
    train = TrainSection(
        sparse_optimizer=SparseOptimizer(**sparse),
        dense_optimizer=DenseOptimizer(lr=0.003),
        regularization=Regularization(rows=1.0),
    )
    model = shard(CtrModel(layout.resolved, layout), train.sparse_optimizer, device=torch.device("cpu"))
    task, weights = CtrTask(model, train, ["label"]), table_weights(model)
    draw, table = torch.Generator().manual_seed(0), layout.schemes["user"]
    uses = count_rows(layout, [planted_batch(draw) for _ in range(40)])
    for step in range(1, 541):
        task.train_on(layout.collate(planted_batch(draw), row_counts=uses))
        table.after_step(StageStep(step, 540, steps_per_epoch=40), weights)
    assert isinstance(table, Gated)
    scores = table.row_scores(weights)
    assert scores is not None
    good, noise, unseen = torch.split(scores[1:], [NUM_GOOD, NUM_NOISE, NUM_UNSEEN])
    assert float(torch.quantile(good, 0.1)) > float(torch.quantile(noise, 0.9))
    assert float(noise.median()) > float(unseen.max())
    if sparse["name"] == "adagrad":
        assert float((good > 0).float().mean()) >= 0.9
        assert float((noise > 0).float().mean()) <= 0.6
        assert float(unseen.max()) < 0
