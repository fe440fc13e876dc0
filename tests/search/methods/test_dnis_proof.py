"""The acceptance checks 19 to 21 of DNIS, on data in which the dims that are needed are known."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from recsys.data.prepared import Prepared
from recsys.embeddings.gates.base import block_means
from recsys.search.cuts import whole_shapes, with_columns
from recsys.search.methods.base import Request
from recsys.search.methods.bilevel import WarmStartSchedule
from recsys.search.methods.dnis import Dnis
from recsys.search.shape import TableShape
from recsys.search.supernet import apply_shapes, gated_tables, score_shapes, table_bytes
from recsys.training.build import LoadedModel
from recsys.training.schedule import ScheduleContext
from recsys.training.strategy import table_weights
from tests.search.low_rank import NUM_FREQUENT, make_low_rank, train_supernet

pytestmark = pytest.mark.proof

SEEDS = (1, 2, 3, 4, 5)
GROUP = 4


class Searched(NamedTuple):
    """A trained supernet and its data."""

    loaded: LoadedModel
    prepared: Prepared


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> list[Searched]:
    found = []
    for seed in SEEDS:
        folder = tmp_path_factory.mktemp(f"seed{seed}")
        prepared = make_low_rank(folder, seed=seed)
        found.append(Searched(train_supernet(Dnis(), prepared, folder / "run"), prepared))
    return found


def shapes_at(share: float, one: Searched, state: Path) -> dict[str, TableShape]:
    budget = int(share * table_bytes(one.loaded, {}).serving)
    request = Request(loaded=one.loaded, prepared=one.prepared, budgets=[budget], state=state)
    (candidate,) = Dnis().candidates(request)
    return dict(candidate.shapes)


def valid_auc(one: Searched, shapes: dict[str, TableShape]) -> float:
    auc: float = score_shapes(one.loaded, one.prepared.splits["valid"], shapes).metrics(["label"])["auc"]
    return auc


def test_19_frequent_items_keep_more_dims_than_rare_ones_which_need_fewer(
    searched: list[Searched], tmp_path_factory: pytest.TempPathFactory
) -> None:
    wider = []
    for one in searched:
        item = shapes_at(0.5, one, tmp_path_factory.mktemp("state"))["item"]
        widths = np.repeat(item.widths, item.block_sizes)
        wider.append(bool(widths[:NUM_FREQUENT].mean() > widths[NUM_FREQUENT + 20 :].mean()))
    assert sum(wider) >= 4


def test_20_pruning_by_what_the_gates_leave_beats_pruning_by_the_rows_alone(searched: list[Searched]) -> None:
    gains = []
    for one in searched:
        weights = table_weights(one.loaded.model)
        gated, bare = {}, {}
        for name, scheme in gated_tables(one.loaded).items():
            square_RS = weights[f"{name}_table"].square().unflatten(1, (-1, GROUP)).mean(2)
            bare[name] = block_means(square_RS, scheme.gate.block, len(scheme.column_mask)).numpy()
            gated[name] = scheme.importance(weights).numpy()
        gains.append(valid_auc(one, keeping_half(one, gated)) - valid_auc(one, keeping_half(one, bare)))
    assert np.mean(gains) > 0.002


def keeping_half(one: Searched, importance: dict[str, NDArray[np.float32]]) -> dict[str, TableShape]:
    """Return the shapes in which each block keeps its 4 most important groups of 8."""
    return {
        name: with_columns(shape, dict(enumerate(map(columns_of, np.argsort(-importance[name], axis=1)[:, :4]))))
        for name, shape in whole_shapes(one.loaded).items()
    }


def columns_of(groups: NDArray[np.int64]) -> tuple[int, ...]:
    return tuple(int(GROUP * group + i) for group in sorted(groups) for i in range(GROUP))


class HalfUsed(WarmStartSchedule):
    """Every other group of columns is masked while the supernet trains, so that half of the dims are redundant."""

    def __init__(self, context: ScheduleContext) -> None:
        super().__init__(context)
        used = columns_of(np.arange(0, 8, 2))
        whole = whole_shapes(context.loaded)
        apply_shapes(
            context.loaded,
            {name: with_columns(shape, dict.fromkeys(range(6), used)) for name, shape in whole.items()},
        )


def test_21_pruning_half_of_the_bytes_costs_nothing_where_half_of_the_dims_are_redundant(tmp_path: Path) -> None:
    prepared = make_low_rank(tmp_path, seed=1)
    one = Searched(train_supernet(Dnis(), prepared, tmp_path / "run", HalfUsed), prepared)
    apply_shapes(one.loaded, {})
    shapes = shapes_at(0.5, one, tmp_path)
    assert valid_auc(one, shapes) > valid_auc(one, {}) - 0.001
