"""What blocks lose by widths, and the shapes that come of it."""

from pathlib import Path

import numpy as np
import pytest

from recsys.data.prepared import Prepared
from recsys.embeddings.gates.gated import Gated
from recsys.search.cuts import (
    BlockCuts,
    importance_orders,
    measure_cuts,
    prefix_orders,
    shapes_within,
    whole_shapes,
    with_columns,
)
from recsys.search.knapsack import UnreachableBytesError
from recsys.search.sample import Sample
from recsys.search.shape import TableShape
from recsys.search.supernet import gated_tables, score_shapes, supernet_config
from recsys.training.build import LoadedModel, score_alone
from recsys.training.strategy import table_weights
from tests.search.nets import build_model, build_supernet, make_prepared


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return make_prepared(tmp_path_factory.mktemp("log"))


@pytest.fixture
def supernet(prepared: Prepared) -> LoadedModel:
    """A supernet whose rows differ widely, so that cuts show."""
    loaded = build_supernet(prepared, num_blocks=2)
    for weight in table_weights(loaded.model).values():
        weight.mul_(100)
    return loaded


def test_a_sample_has_the_loss_and_the_auc_of_its_rows(prepared: Prepared, supernet: LoadedModel) -> None:
    valid = prepared.splits["valid"]
    metrics = score_alone(supernet, valid).metrics(["label"])
    whole = Sample(supernet, valid)
    assert (whole.loss(), whole.auc()) == pytest.approx((metrics["logloss"], metrics["auc"]), abs=1e-6)
    part = Sample(supernet, valid, max_rows=100)
    assert part.num_rows == 100
    assert part.loss() == Sample(supernet, valid, max_rows=100).loss() != whole.loss()


def test_a_cut_loses_what_the_masked_supernet_loses(prepared: Prepared, supernet: LoadedModel, tmp_path: Path) -> None:
    sample = Sample(supernet, prepared.splits["valid"])
    whole = whole_shapes(supernet)
    cuts = measure_cuts(sample, prefix_orders(supernet), whole, state=tmp_path / "cuts.json")
    assert [(cut.vocabulary, cut.block) for cut in cuts] == [("user", 0), ("user", 1), ("item", 0)]
    assert cuts[1].columns == ((), (0, 1, 2, 3), tuple(range(8)))
    shape = with_columns(whole["user"], {1: (0, 1, 2, 3)})
    masked = score_shapes(supernet, prepared.splits["valid"], {"user": shape}).metrics(["label"])["logloss"]
    assert cuts[1].losses[1] == pytest.approx(masked - sample.loss(), abs=1e-6)
    assert cuts[1].losses[2] == 0
    assert all(scheme.column_mask.all() for scheme in gated_tables(supernet).values())
    sample.batches = []  # what was measured is not measured again
    assert measure_cuts(sample, prefix_orders(supernet), whole, state=tmp_path / "cuts.json") == cuts


def test_a_gate_of_candidate_widths_is_cut_to_these_alone(prepared: Prepared) -> None:
    loaded = build_model(supernet_config(prepared, {"kind": "autodim", "widths": [8]}, num_blocks=2), prepared)
    sample = Sample(loaded, prepared.splits["valid"])
    cuts = measure_cuts(sample, prefix_orders(loaded), whole_shapes(loaded))
    assert {cut.columns for cut in cuts} == {((), tuple(range(8)))}


def test_groups_go_in_the_order_of_their_importance(supernet: LoadedModel) -> None:
    table_weights(supernet.model)["user_table"][:, :4] = 0
    assert importance_orders(supernet)["user"].tolist() == [[1, 0], [1, 0]]
    assert prefix_orders(supernet)["user"].tolist() == [[0, 1], [0, 1]]


def test_the_shapes_within_a_budget_lose_least() -> None:
    whole = {
        "user": TableShape(vocabulary="user", dim=8, block_sizes=(2, 4), columns=(tuple(range(8)),) * 2),
        "item": TableShape.prefix("item", num_ids=3, dim=8, width=8),
    }
    columns = ((), (0, 1, 2, 3), tuple(range(8)))
    cuts = [
        BlockCuts("user", 0, columns, (9.0, 5.0, 0.0)),
        BlockCuts("user", 1, columns, (1.0, 0.0, 0.0)),
        BlockCuts("item", 0, columns, (0.2, 0.1, 0.0)),
    ]
    found = shapes_within(cuts, whole, 2 * 32 + 4 * 16)
    assert found["user"].widths == (8, 4)
    assert found["item"].is_dropped
    assert sum(shape.serving_bytes for shape in found.values()) == 2 * 32 + 4 * 16
    assert [shape.widths for shape in shapes_within(cuts, whole, 10**6).values()] == [(8, 4), (8,)]
    with pytest.raises(UnreachableBytesError):
        shapes_within(cuts, whole, -1)


def test_rows_that_a_gate_prunes_cost_nothing(supernet: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    even = np.arange(21) % 2 == 0
    user = gated_tables(supernet)["user"]
    is_kept = user.row_mask.new_tensor(even).bool()
    monkeypatch.setattr(Gated, "kept_rows", lambda self, _: is_kept if self is user else None)
    whole = whole_shapes(supernet)
    assert whole["user"].kept is not None
    assert whole["user"].kept.tolist() == even.tolist()
    assert whole["user"].serving_bytes == 11 * 8 * 2
    assert whole["item"].kept is None
