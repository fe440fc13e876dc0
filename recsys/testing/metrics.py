"""The contract of a metric: a suite that runs on any metric, of this package or of your own.

    class TestMeanError(MetricContract):
        names = ("mae",)

Dimension key: B rows.
"""

from collections.abc import Sequence
from typing import ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt
import pytest

from recsys.evaluation.metrics import METRICS
from recsys.evaluation.summary import evaluate

__all__ = ["MetricContract"]


class Rows(NamedTuple):
    """Predictions as a run hands them to metrics."""

    probability: npt.NDArray[np.float64]
    """(B,)"""
    label: npt.NDArray[np.float32]
    """(B,) 0 or 1."""
    weight: npt.NDArray[np.float32]
    """(B,) positive."""
    group: npt.NDArray[np.int64]
    """(B,) each of several rows."""

    def take(self, index_B: npt.NDArray[np.intp]) -> "Rows":
        """Return some rows, in some order."""
        return Rows(self.probability[index_B], self.label[index_B], self.weight[index_B], self.group[index_B])


def draw(num_rows: int = 400) -> Rows:
    """Draw predictions that tell something of the labels, the same each time."""
    generator = np.random.default_rng(0)
    probability = generator.uniform(0.05, 0.95, num_rows)
    label = (generator.random(num_rows) < probability).astype(np.float32)
    weight = generator.integers(1, 4, num_rows).astype(np.float32)
    return Rows(probability, label, weight, generator.integers(0, 20, num_rows))


class MetricContract:
    """Mixin of tests of metrics. Name your subclass Test..., and say in `names` which metrics it tests.

    Attributes:
        names: Names of registered metrics; all of them by default.
        of_places: Those that look at places in a list, where a row of weight 2 stands in one place and not in two.
    """

    names: ClassVar[Sequence[str]] = ()
    of_places: ClassVar[Sequence[str]] = ("ndcg_10", "recall_10")

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Run each test that takes `name` once for each metric, and others for the metrics of which they make sense.

        These are `ordered_name`: epochs can be compared by it; `counting_name`: a row of weight 2 is two rows; and
        `moved_name`: it states its influence.
        """
        names = self.names or list(METRICS)
        if "name" in metafunc.fixturenames:
            metafunc.parametrize("name", names)
        if "ordered_name" in metafunc.fixturenames:
            metafunc.parametrize("ordered_name", [n for n in names if METRICS[n].higher_is_better is not None])
        if "counting_name" in metafunc.fixturenames:
            metafunc.parametrize("counting_name", [n for n in names if n not in self.of_places])
        if "moved_name" in metafunc.fixturenames:
            metafunc.parametrize("moved_name", [n for n in names if METRICS[n].influence is not None])

    def value(self, name: str, rows: Rows, weight: npt.NDArray[np.float32] | None = None) -> float:
        """Return the metric of some rows."""
        return METRICS[name].compute(name, rows.probability, rows.label, weight, rows.group)[name]

    def test_it_is_a_finite_number_with_and_without_weights(self, name: str) -> None:
        rows = draw()
        assert np.isfinite(self.value(name, rows))
        assert np.isfinite(self.value(name, rows, rows.weight))

    def test_a_run_reports_it(self, name: str) -> None:
        rows = draw()
        assert evaluate(rows.probability, rows.label, None, rows.group)[name] == self.value(name, rows)

    def test_it_is_left_out_where_it_needs_groups_and_there_are_none(self, name: str) -> None:
        rows = draw()
        assert (name in evaluate(rows.probability, rows.label)) is not METRICS[name].needs_group

    def test_figures_that_belong_to_it_begin_with_its_name(self, name: str) -> None:
        rows = draw()
        figures = METRICS[name].compute(name, rows.probability, rows.label, None, rows.group)
        assert all(key == name or key.startswith(f"{name}_") for key in figures)

    def test_the_order_of_rows_changes_nothing(self, name: str) -> None:
        rows = draw()
        index_B = np.random.default_rng(1).permutation(len(rows.label))
        assert self.value(name, rows.take(index_B)) == pytest.approx(self.value(name, rows), abs=1e-9)

    def test_equal_weights_are_none(self, name: str) -> None:
        rows = draw()
        twos = np.full(len(rows.label), 2, np.float32)
        assert self.value(name, rows, twos) == pytest.approx(self.value(name, rows), abs=1e-9)

    def test_a_row_of_weight_2_counts_as_two_rows(self, counting_name: str) -> None:
        rows = draw()
        repeated = rows.take(np.repeat(np.arange(len(rows.label)), rows.weight.astype(np.intp)))
        found, expected = self.value(counting_name, rows, rows.weight), self.value(counting_name, repeated)
        assert found == pytest.approx(expected, abs=1e-9)

    def test_higher_is_better_says_on_which_side_right_predictions_are(self, ordered_name: str) -> None:
        rows = draw()
        right = self.value(ordered_name, rows._replace(probability=np.abs(rows.label - 0.01, dtype=np.float64)))
        wrong = self.value(ordered_name, rows._replace(probability=np.abs(1 - rows.label - 0.01, dtype=np.float64)))
        assert right > wrong if METRICS[ordered_name].higher_is_better else right < wrong

    @pytest.mark.parametrize("label", [0.0, 1.0])
    def test_labels_of_one_class_raise_nothing(self, name: str, label: float) -> None:
        rows = draw()
        self.value(name, rows._replace(label=np.full_like(rows.label, label)))

    @pytest.mark.parametrize("is_weighted", [False, True])
    def test_its_influence_values_sum_to_0(self, moved_name: str, is_weighted: bool) -> None:
        rows = draw()
        influence_B = self.influence(moved_name, rows, rows.weight if is_weighted else None)
        assert influence_B.shape == rows.label.shape
        assert abs(influence_B.sum()) < 1e-6 * np.abs(influence_B).sum()

    def test_equal_weights_leave_its_influence_as_it_is(self, moved_name: str) -> None:
        rows = draw()
        twos = np.full(len(rows.label), 2, np.float32)
        np.testing.assert_allclose(
            self.influence(moved_name, rows, twos), self.influence(moved_name, rows), rtol=1e-6, atol=1e-9
        )

    def test_the_values_of_its_influence_move_with_the_rows(self, moved_name: str) -> None:
        """A value of a group, which stands at its first row, moves with that."""
        rows = draw()
        index_B = np.argsort(rows.group, kind="stable")  # keeps the first row of each group
        moved_B = self.influence(moved_name, rows.take(index_B))
        np.testing.assert_allclose(moved_B, self.influence(moved_name, rows)[index_B], rtol=1e-6, atol=1e-9)

    @pytest.mark.parametrize("is_weighted", [False, True])
    def test_its_interval_is_as_wide_as_a_bootstrap_of_rows_says(self, moved_name: str, is_weighted: bool) -> None:
        """Groups are drawn if it is a metric of groups; 300 draws know the width to 4 %."""
        rows = draw()
        by_group = METRICS[moved_name].needs_group
        influence_B = self.influence(moved_name, rows, rows.weight if is_weighted else None)
        drawn = (drawn_groups(rows, seed) if by_group else drawn_rows(rows, seed) for seed in range(300))
        values = [self.value(moved_name, one, one.weight if is_weighted else None) for one in drawn]
        assert np.std(values) == pytest.approx(np.sqrt(np.sum(influence_B**2)), rel=0.25 if by_group else 0.15)

    def influence(
        self, name: str, rows: Rows, weight: npt.NDArray[np.float32] | None = None
    ) -> npt.NDArray[np.float64]:
        """Return the influence values of a metric of some rows."""
        metric = METRICS[name]
        return np.asarray(metric.compute_influence(name, rows.probability, rows.label, weight, rows.group))


def drawn_rows(rows: Rows, seed: int) -> Rows:
    """Draw as many rows with replacement."""
    return rows.take(np.random.default_rng(seed).integers(0, len(rows.label), len(rows.label)))


def drawn_groups(rows: Rows, seed: int) -> Rows:
    """Draw as many groups with replacement; one that is drawn twice is two groups."""
    groups = np.unique(rows.group)
    drawn = np.random.default_rng(seed).choice(groups, len(groups))
    index = [np.flatnonzero(rows.group == group) for group in drawn]
    renamed = np.repeat(np.arange(len(drawn)), [len(one) for one in index])
    return rows.take(np.concatenate(index))._replace(group=renamed)
