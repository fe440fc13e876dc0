from collections.abc import Sequence
from math import inf, isnan
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from recsys.errors import DataError
from recsys.evaluation import Difference, Predictions, auc_difference, evaluate
from recsys.evaluation.metrics import METRICS, Metric, register_metric
from recsys.evaluation.paired import (
    check_same_rows,
    comparable_metrics,
    difference_of,
    figure_of,
    verdict_on_files,
)
from recsys.evaluation.seeds import Estimate

DRAW = np.random.default_rng(1)
LABELS = [(DRAW.random(400) < 0.4).astype(np.float32) for _ in range(2)]
SCORES = [[np.clip(DRAW.random(400) * 0.7 + 0.3 * label, 0, 1) for label in LABELS] for _ in range(6)]
GROUPS = DRAW.integers(0, 40, 400)


def rows(model: int = 0, task: int = 0, **changes: Any) -> Predictions:
    given = {"label": LABELS[task], "score": SCORES[model][task], "weight": None, "group": GROUPS, "source": "a"}
    return Predictions(**(given | changes))


def paired_differences(
    a: Sequence[Predictions], b: Sequence[Predictions], metrics: Sequence[str] = ("auc", "logloss", "gauc")
) -> dict[str, Difference]:
    """Return how much the metrics of model a lie above those of model b, with 95 % intervals.

    Args:
        a: predictions of one model, one for each of its seeds, all for the same rows.
        b: those of the other model for the same rows.
        metrics: names of metrics; those within groups are left out if the rows have none.

    Raises:
        DataError: labels, weights, groups or numbers of rows differ.
    """
    models = [[{"": seed} for seed in seeds] for seeds in (a, b)]
    check_same_rows([*a, *b])
    known = comparable_metrics(models[0] + models[1])
    return {
        name: _cut(difference_of(*(figure_of(seeds, name) for seeds in models)), METRICS[name].scale)
        for name in metrics
        if name in known
    }


def _cut(found: Estimate, scale: tuple[float, float]) -> Difference:
    """Return a difference whose interval ends where the scale of the metric makes it end."""
    most = scale[1] - scale[0]
    return Difference(found.value, max(found.low, -most), min(found.high, most), found.p_value)


def test_one_seed_gives_delongs_test() -> None:
    found = paired_differences([rows(0)], [rows(1)])["auc"]
    assert_allclose(found, auc_difference(SCORES[0][0], SCORES[1][0], LABELS[0]), rtol=1e-9)


def test_the_difference_of_means_is_that_of_a_paired_test() -> None:
    found = paired_differences([rows(0)], [rows(1)], ["logloss"])["logloss"]
    losses = [-np.log(np.where(LABELS[0] == 1, SCORES[model][0], 1 - SCORES[model][0])) for model in range(2)]
    paired = stats.ttest_rel(*losses)
    assert found.value == pytest.approx(float(np.mean(losses[0] - losses[1])))
    assert found.p_value == pytest.approx(float(2 * stats.norm.sf(abs(paired.statistic))))


@pytest.mark.parametrize("metric", ["auc", "logloss", "gauc"])
@pytest.mark.parametrize("weight", [None, DRAW.random(400)], ids=["alike", "weighted"])
def test_the_interval_is_that_of_a_bootstrap(metric: str, weight: Any) -> None:
    first, second = (rows(model, weight=weight) for model in range(2))
    found = paired_differences([first], [second], [metric])[metric]
    rng = np.random.default_rng(0)
    units = GROUPS if METRICS[metric].needs_group else np.arange(400)
    members = [np.flatnonzero(units == unit) for unit in np.unique(units)]
    drawn = []
    for _ in range(300):
        chosen = rng.integers(0, len(members), len(members))
        index = np.concatenate([members[one] for one in chosen])
        group = np.repeat(np.arange(len(chosen)), [len(members[one]) for one in chosen])
        weights = None if weight is None else weight[index]
        values = [evaluate(one.score[index], one.label[index], weights, group)[metric] for one in (first, second)]
        drawn.append(values[0] - values[1])
    assert (found.high - found.low) / 2 / 1.96 == pytest.approx(float(np.std(drawn)), rel=0.15)


def test_equal_models_do_not_differ_at_all() -> None:
    assert paired_differences([rows(0)], [rows(0)])["auc"] == (0.0, 0.0, 0.0, 1.0)


def test_intervals_end_where_the_scale_does() -> None:
    label = np.array([0, 1, 0, 1])
    best, worst = (rows(label=label, score=np.abs(label - wrong), group=None) for wrong in (0.0, 1.0))
    found = paired_differences([best], [worst])["auc"]
    assert (found.value, found.high) == (1.0, 1.0)


def test_rows_of_one_class_have_no_difference() -> None:
    found = paired_differences(*([rows(model, label=np.ones(400))] for model in range(2)))["auc"]
    assert all(isnan(value) for value in found)


def test_over_seeds_the_figure_is_the_mean_and_every_row_moves_it_by_the_mean() -> None:
    seeds = [{"": rows(model)} for model in range(3)]
    found, alone = figure_of(seeds, "auc"), [figure_of([seed], "auc") for seed in seeds]
    assert found.values == tuple(one.mean for one in alone)
    influences = np.array([one.influence for one in alone])
    assert_allclose(found.influence, influences.mean(axis=0), atol=1e-15)
    assert found.together == pytest.approx(float(influences.var(axis=0, ddof=1).sum() / 3))
    assert found.estimate().variance >= float(found.influence @ found.influence)


def test_seeds_of_the_two_models_need_not_be_as_many() -> None:
    first = figure_of([{"": rows(model)} for model in range(3)], "auc")
    second = figure_of([{"": rows(model)} for model in (3, 4)], "auc")
    found = difference_of(first, second)
    assert found.value == pytest.approx(first.mean - second.mean)
    assert found.seeds_variance == pytest.approx(np.var(first.values, ddof=1) / 3 + np.var(second.values, ddof=1) / 2)
    assert 1 < found.freedom < inf


def test_with_several_tasks_figures_are_means_over_tasks() -> None:
    seeds = [{str(task): rows(model, task) for task in range(2)} for model in range(2)]
    found = difference_of(*(figure_of([seed], "auc") for seed in seeds))
    each = [auc_difference(SCORES[0][task], SCORES[1][task], LABELS[task]) for task in range(2)]
    assert found.value == pytest.approx(np.mean([one.value for one in each]))
    independent = np.sqrt(sum(((one.high - one.low) / 2 / 1.96) ** 2 for one in each)) / 2
    assert np.sqrt(found.variance) == pytest.approx(independent, rel=0.2)


def test_metrics_that_compare_have_an_interval_a_direction_and_the_groups_they_need() -> None:
    found = comparable_metrics([{"": rows()}])
    assert {"auc", "logloss", "gauc"} <= set(found)
    assert "calibration" not in found
    assert "gauc" not in comparable_metrics([{"": rows()}, {"": rows(group=None)}])


def test_a_metric_of_the_user_compares_as_soon_as_it_has_influence_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(METRICS, "_entries", dict(METRICS.items()), raising=False)

    def error(p: Any, y: Any, w: Any) -> float:
        return float(np.mean((p - y) ** 2))

    def influence(p: Any, y: Any, w: Any) -> Any:
        return ((p - y) ** 2 - error(p, y, w)) / len(p)

    name = "paired_test_error"
    register_metric(name, Metric(error, higher_is_better=False, influence=influence))
    assert paired_differences([rows(0)], [rows(1)], [name])[name].value == pytest.approx(
        error(SCORES[0][0], LABELS[0], None) - error(SCORES[1][0], LABELS[0], None)
    )


FEW = {"label": np.array([0.0, 1.0, 0.0]), "score": np.array([0.1, 0.2, 0.3]), "group": np.array([5, 5, 7])}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"label": np.array([0.0, 1.0, 1.0])}, "labels differ, first in row 3: 1 here, 0 there; 1 of 3 rows differ"),
        ({"label": np.array([0.0, 0.4, 0.0])}, "labels differ, first in row 2: 0.4 here, 1 there"),
        ({"weight": np.array([1.0, 2.0, 2.0])}, "weights differ, first in row 3: 2 here, 3 there"),
        ({"weight": None}, "only one of them has weights"),
        ({"group": np.array([1, 2, 2])}, "groups differ, first in row 2; 2 of 3 rows differ"),
        ({"group": np.array([5, 5, -(2**63)])}, "groups differ, first in row 3"),
        ({name: values[:2] for name, values in FEW.items()}, "it has 2 rows, the other 3"),
    ],
)
def test_other_rows_are_refused_with_the_first_that_differs(changes: dict[str, Any], words: str) -> None:
    given = FEW | {"weight": np.array([1.0, 2.0, 3.0])}
    with pytest.raises(DataError, match=f"b: cannot be compared with a: .*{words}"):
        check_same_rows([rows(**given), rows(**(given | changes), source="b")])


@pytest.mark.parametrize(
    "changes",
    [
        {"group": np.array([1, 1, 0])},
        {"group": None},
        {"label": np.array([0, 1, 0], np.int8)},
        {"weight": np.array([0.1, 0.2, 0.3], np.float32)},
    ],
)
def test_other_names_of_groups_and_other_types_are_the_same_rows(changes: dict[str, Any]) -> None:
    given = FEW | {"weight": np.array([0.1, 0.2, 0.3])}
    check_same_rows([rows(**given), rows(**(given | changes))])


def write(folder: Path, model: int, **changes: Any) -> Path:
    columns = {"label": LABELS[0], "score": SCORES[model][0]}
    pl.DataFrame(columns | changes).write_parquet(folder / f"{model}.parquet")
    return folder / f"{model}.parquet"


@pytest.mark.parametrize("weight", [{}, {"weight": np.full(400, 2.0)}], ids=["alike", "weighted"])
def test_files_of_predictions_give_the_verdict_of_delongs_test(tmp_path: Path, weight: dict[str, Any]) -> None:
    found = verdict_on_files(write(tmp_path, 0, **weight), write(tmp_path, 1, **weight))
    expected = auc_difference(SCORES[0][0], SCORES[1][0], LABELS[0])
    assert (found.difference.value, found.p_value) == (pytest.approx(expected.value), pytest.approx(expected.p_value))


def test_files_of_several_tasks_give_the_verdict_on_the_mean(tmp_path: Path) -> None:
    paths = []
    for model in range(2):
        columns = {f"label.{task}": LABELS[task] for task in range(2)}
        frame = pl.DataFrame(columns | {f"score.{task}": SCORES[model][task] for task in range(2)})
        frame.write_parquet(tmp_path / f"{model}.parquet")
        paths.append(tmp_path / f"{model}.parquet")
    each = [auc_difference(SCORES[0][task], SCORES[1][task], LABELS[task]).value for task in range(2)]
    assert verdict_on_files(paths[0], paths[1]).difference.value == pytest.approx(np.mean(each))


def test_files_of_other_rows_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the labels differ"):
        verdict_on_files(write(tmp_path, 0), write(tmp_path, 1, label=1 - LABELS[0]))
