"""Two models on slices: differences of the slice's rows alone, corrected for how many there are."""

from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.testing import assert_allclose

from recsys.evaluation import auc_difference, logloss
from recsys.evaluation.predictions import Predictions
from recsys.evaluation.verdict import holm
from recsys.judging.paired_slices import paired_slices
from recsys.judging.slices import groupings_of


def paired(first: list[Predictions], second: list[Predictions], columns: dict[str, pl.Series]) -> pl.DataFrame:
    return paired_slices(first, second, groupings_of(columns, len(first[0])))


def scored(label: Any, noise: Any) -> Predictions:
    score = 1 / (1 + np.exp(2 - noise))
    return Predictions(label, score, None, None, "scores")


def example(rows: int = 4000, *, gain: float = 1.5, seed: int = 0) -> tuple[Predictions, Predictions, pl.Series]:
    """Two models that are equally good, but that the first knows more where `x` is "a"."""
    rng = np.random.default_rng(seed)
    slice_of = rng.choice(["a", "b", "c"], rows)
    truth = rng.normal(size=rows)
    label = (rng.random(rows) < 1 / (1 + np.exp(2 - truth))).astype(float)
    first, second = (truth + rng.normal(size=rows) for _ in range(2))
    second = np.where(slice_of == "a", second + gain * rng.normal(size=rows), second)
    return scored(label, first), scored(label, second), pl.Series(slice_of)


def test_a_difference_is_that_of_the_rows_of_the_slice() -> None:
    first, second, x = example()
    table = paired([first], [second], {"x": x})
    p_values = {}
    for row in table.iter_rows(named=True):
        inside = (x == row["slice"]).to_numpy()
        expected = auc_difference(first.score[inside], second.score[inside], first.label[inside])
        assert_allclose([row["auc"], row["auc_low"], row["auc_high"]], expected[:3], rtol=1e-6)
        losses = [logloss(one.score[inside], one.label[inside]) for one in (first, second)]
        assert_allclose(row["logloss"], losses[0] - losses[1], rtol=1e-9)
        p_values[row["slice"]] = expected.p_value
    corrected = dict(zip(p_values, holm(list(p_values.values())), strict=True))
    assert_allclose(table["auc_p_value"], [corrected[name] for name in table["slice"]], rtol=1e-6)


def test_the_slice_on_which_models_differ_comes_first_with_a_verdict_on_the_first_model() -> None:
    first, second, x = example(20_000)
    table = paired([first], [second], {"x": x})
    assert table["slice"][0] == "a"
    assert table["auc_verdict"].to_list() == ["better", "undecided", "undecided"]
    assert table["logloss_verdict"][0] == "better"
    assert paired([second], [first], {"x": x})["auc_verdict"][0] == "worse"


def test_seeds_are_averaged_and_add_their_own_variance() -> None:
    seeds = [example(seed=7, gain=0.0)[:2], example(seed=7, gain=0.3)[:2], example(seed=7, gain=0.6)[:2]]
    x = example(seed=7)[2]
    together = paired([one[0] for one in seeds], [one[1] for one in seeds], {"x": x})
    alone = [paired([one[0]], [one[1]], {"x": x}) for one in seeds]
    for row in together.iter_rows(named=True):
        of_seeds = [one.row(by_predicate=pl.col("slice") == row["slice"], named=True)["auc"] for one in alone]
        assert row["auc"] == pytest.approx(np.mean(of_seeds), abs=1e-12)


def test_equal_models_are_rarely_called_different_on_any_of_many_slices() -> None:
    called = 0
    for seed in range(100):
        first, second, _ = example(1500, gain=0.0, seed=seed)
        x = pl.Series([f"s{i % 15}" for i in range(1500)])
        table = paired([first], [second], {"x": x})
        called += bool((table["logloss_verdict"] != "undecided").any())
    assert called <= 12


def test_a_slice_of_one_class_has_no_auc_but_a_logloss() -> None:
    first, second = (
        Predictions(np.array([0.0, 0, 1]), np.array(s), None, None, "s") for s in ([0.1, 0.2, 0.9], [0.3] * 3)
    )
    row = paired([first], [second], {"x": pl.Series(["a", "a", "b"])}).row(0, named=True)
    assert (row["slice"], row["auc"], row["auc_verdict"]) == ("a", None, "undecided")
    assert row["logloss"] < 0
    assert paired([first], [second], {}).is_empty()


def test_two_rows_on_which_models_differ_by_the_same_settle_nothing() -> None:
    first, second, _ = example(400)
    score = second.score.copy()
    score[:2] = first.score[:2] - [0.02, 0.021]
    few = pl.Series(np.where(np.arange(400) < 2, "two", "others"))
    table = paired([first], [Predictions(second.label, score, None, None, "scores")], {"x": few})
    two = table.filter(pl.col("slice") == "two")
    assert two["logloss_verdict"].to_list() == ["undecided"]
    assert two["logloss_p_value"][0] > 0.01
