from math import nan, sqrt

import numpy as np
import pytest

from recsys.evaluation.seeds import Estimate
from recsys.evaluation.verdict import describe_difference, holm, needed_to_tell, verdict


@pytest.mark.parametrize(
    ("metric", "value", "word"),
    [
        ("auc", 0.01, "better"),
        ("auc", -0.01, "worse"),
        ("auc", 0.001, "undecided"),
        ("logloss", 0.01, "worse"),
        ("logloss", -0.01, "better"),
        ("gauc", 0.01, "better"),
        ("unknown_here", 0.01, "better"),
        ("auc", nan, "undecided"),
    ],
)
def test_a_difference_that_is_not_chance_is_better_or_worse_as_the_metric_says(
    metric: str, value: float, word: str
) -> None:
    assert verdict(metric, Estimate(value, 0.001**2), rows=100).word == word


def test_a_difference_without_a_variance_settles_nothing() -> None:
    found = verdict("auc", Estimate(0.1, nan), rows=100)
    assert (found.word, found.rows_needed, found.seeds_needed) == ("undecided", None, None)
    assert describe_difference(found.difference) == "+0.1000 (no interval)"


def test_the_p_value_that_is_handed_in_decides() -> None:
    assert verdict("auc", Estimate(0.01, 0.001**2), rows=100, p_value=0.06).word == "undecided"


def test_the_rows_that_are_needed_tell_the_difference_in_four_of_five_tests() -> None:
    rows, _ = needed_to_tell(Estimate(0.001, 0.001**2), rows=10_000, seeds=1)
    assert rows is not None
    rng = np.random.default_rng(0)
    errors = 0.001 * sqrt(10_000 / rows)
    told = [Estimate(0.001 + errors * noise, errors**2).is_significant for noise in rng.normal(size=4000)]
    assert 0.78 <= np.mean(told) <= 0.83


def test_seeds_and_rows_are_named_where_they_alone_would_do() -> None:
    both = Estimate(0.01, 2 * 0.003**2, seeds_variance=0.003**2)
    rows, seeds = needed_to_tell(both, rows=1000, seeds=3)
    assert rows == pytest.approx(2500, abs=100)
    assert seeds == 8
    assert needed_to_tell(Estimate(0.01, 2 * 0.009**2, seeds_variance=0.009**2), rows=1000, seeds=3) == (None, None)
    assert needed_to_tell(Estimate(1e-9, 0.1), rows=1000, seeds=1) == (None, None)


@pytest.mark.parametrize(
    ("difference", "words"),
    [
        (Estimate(0.001, 0.001**2), "about 79,000 rows would tell it"),
        (Estimate(0.01, 2 * 0.0034**2, 4, 0.0034**2), "rows or about 30 seeds of each would tell it"),
        (Estimate(0.01, 2 * 0.009**2, seeds_variance=0.009**2), "neither rows nor seeds alone would tell it"),
        (Estimate(0.0, 0.0), "They do not differ at all"),
        (Estimate(0.0, 0.1), "No difference is to be seen"),
        (Estimate(0.01, 0.001**2), ""),
        (Estimate(nan, nan), ""),
    ],
)
def test_it_says_what_would_tell(difference: Estimate, words: str) -> None:
    assert words in verdict("auc", difference, rows=10_000, seeds=3).what_would_tell()


@pytest.mark.parametrize(
    ("p_values", "corrected"),
    [([0.01], [0.01]), ([0.02, 0.01], [0.02, 0.02]), ([0.03, 0.01, 0.04], [0.06, 0.03, 0.06]), ([], [])],
)
def test_p_values_are_corrected_by_holms_method(p_values: list[float], corrected: list[float]) -> None:
    assert holm(p_values) == pytest.approx(corrected)


def test_p_values_that_are_not_known_do_not_count() -> None:
    assert holm([nan, 0.02, 0.9])[1:] == pytest.approx([0.04, 0.9])


def test_among_many_equal_pairs_one_is_called_different_in_five_percent_of_cases() -> None:
    p_values = np.random.default_rng(0).uniform(size=(4000, 10))
    assert 0.04 <= np.mean([min(holm(list(one))) < 0.05 for one in p_values]) <= 0.06
