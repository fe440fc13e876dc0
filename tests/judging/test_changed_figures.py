import numpy as np
import pytest
from scipy.stats import binom

from recsys.evaluation.probability import logloss
from recsys.evaluation.ranking import auc
from recsys.evaluation.seeds import Estimate
from recsys.judging.changed_figures import Baseline, variance_of_loss


class Drawn:
    """Scores of a model that knows the effect of a value, and exaggerates it, with the value permuted."""

    method = "permute"

    def __init__(
        self, rows: int, repeats: int, *, effect: float, exaggerated: float, draw: np.random.Generator
    ) -> None:
        other, value = draw.normal(size=rows), draw.normal(size=rows)
        self.labels = (draw.random(rows) < probability(other, effect * value))[:, None].astype(np.float32)
        self.weights = None
        self.orders = [draw.permutation(rows) for _ in range(repeats)]
        self.whole = probability(other, exaggerated * value)[:, None]
        self.changed = [probability(other, exaggerated * value[order])[:, None] for order in self.orders]

    def sources(self, repeat: int) -> np.ndarray:
        return self.orders[repeat]


def probability(*logits: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(1 - sum(logits)))


def test_figures_are_means_over_repeats_and_higher_losses_mean_worse() -> None:
    scores = Drawn(500, 3, effect=1.0, exaggerated=1.0, draw=np.random.default_rng(0))
    found = Baseline(scores, ["click"]).compare(scores.changed)  # type: ignore[arg-type]
    label = scores.labels[:, 0]
    aucs = [auc(one[:, 0], label) for one in scores.changed]
    loglosses = [logloss(one[:, 0], label) for one in scores.changed]
    assert found.changed == {"auc": pytest.approx(np.mean(aucs)), "logloss": pytest.approx(np.mean(loglosses))}
    assert found.worse["auc"].value == pytest.approx(auc(scores.whole[:, 0], label) - np.mean(aucs))
    assert found.worse["logloss"].value == pytest.approx(np.mean(loglosses) - logloss(scores.whole[:, 0], label))
    assert found.worse["auc"].value > 0.05
    assert found.most == max(one.high for one in found.worse.values())


def test_equal_scores_are_no_worse_and_surely_so() -> None:
    scores = Drawn(500, 2, effect=1.0, exaggerated=0.0, draw=np.random.default_rng(0))
    worse = Baseline(scores, ["click"]).compare(scores.changed).worse  # type: ignore[arg-type]
    assert {(one.value, one.low, one.high, one.p_value) for one in worse.values()} == {(0.0, 0.0, 0.0, 1.0)}


LOSSES = [np.array([3.0, -1.0, -2.0]), np.array([3.0, 1.0, -4.0])]
SQUARES = 14 + 26


@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        ([[1, 2, 0], [0, 1, 2]], ((3 + 3 - 2 + 3) ** 2 + (-1 + 1 + 3 + 1) ** 2 + (-2 - 4 - 1 - 4) ** 2 - SQUARES) / 4),
        ([[1, 0, 2], [1, 0, 2]], ((2 + 4) ** 2 + (2 + 4) ** 2 + (-4 - 8) ** 2 - SQUARES) / 4),
        ([[2, 1, 0], [2, 1, 0]], SQUARES / 4),  # all sums are 0: the difference would be below 0
        ([None, None], (6**2 + 0**2 + 6**2) / 4),
    ],
)
def test_a_row_counts_as_what_is_scored_and_as_what_gives_its_value_without_the_noise_of_permutations(
    sources: list[list[int] | None], expected: float
) -> None:
    """Influence values and rows that are few enough to be added up by hand."""
    assert variance_of_loss(LOSSES, [None if one is None else np.array(one) for one in sources]) == expected


def compare(
    draw: np.random.Generator, rows: int, repeats: int, *, effect: float, exaggerated: float
) -> dict[str, Estimate]:
    scores = Drawn(rows, repeats, effect=effect, exaggerated=exaggerated, draw=draw)
    return Baseline(scores, ["click"]).compare(scores.changed).worse  # type: ignore[arg-type]


@pytest.mark.slow
def test_the_interval_of_a_strong_feature_holds_that_its_values_are_a_sample() -> None:
    draw = np.random.default_rng(1)
    samples = [compare(draw, 500, 5, effect=1.5, exaggerated=1.5)["logloss"] for _ in range(100)]
    spread, stated = np.std([one.value for one in samples]), np.sqrt(np.mean([one.variance for one in samples]))
    assert 0.85 < spread / stated < 1.15


@pytest.mark.proof
@pytest.mark.parametrize("repeats", [1, 5])
@pytest.mark.parametrize(("effect", "exaggerated"), [(0.0, 0.5), (0.2, 0.5), (1.5, 1.5)])
def test_intervals_hold_what_endlessly_many_rows_would_show(effect: float, exaggerated: float, repeats: int) -> None:
    """A feature that tells nothing, a weak one and a strong one: 500 samples of 1,000 rows."""
    draw = np.random.default_rng(1)
    truth = compare(draw, 1_000_000, 1, effect=effect, exaggerated=exaggerated)
    samples = [compare(draw, 1_000, repeats, effect=effect, exaggerated=exaggerated) for _ in range(500)]
    for metric in ("auc", "logloss"):
        covered = np.mean([one[metric].low <= truth[metric].value <= one[metric].high for one in samples])
        print(f"{metric}: {repeats} repeats, effect {effect}: intervals hold the truth in {covered:.1%}")
        assert 0.93 <= covered <= binom.ppf(0.999, 500, 0.95) / 500, metric
