import numpy as np
import polars as pl
import pytest

from recsys.evaluation import auc_difference
from recsys.evaluation.paired import predictions_difference, standard_error

DRAW = np.random.default_rng(1)
LABELS = [(DRAW.random(400) < 0.4).astype(np.float32) for _ in range(2)]
SCORES = [[DRAW.random(400) + 0.3 * label for label in LABELS] for _ in range(2)]


def predictions(model: int) -> pl.DataFrame:
    return pl.DataFrame({"label": LABELS[0], "score": SCORES[model][0]})


def predictions_of_two_tasks(model: int) -> pl.DataFrame:
    columns = {f"label.{task}": LABELS[task] for task in range(2)}
    return pl.DataFrame(columns | {f"score.{task}": SCORES[model][task] for task in range(2)})


def test_one_task_gives_delongs_test() -> None:
    found = predictions_difference(predictions(0), predictions(1))
    assert found == auc_difference(SCORES[0][0], SCORES[1][0], LABELS[0])


def test_several_tasks_give_the_mean_with_the_mean_standard_error() -> None:
    found = predictions_difference(predictions_of_two_tasks(0), predictions_of_two_tasks(1))
    each = [auc_difference(SCORES[0][task], SCORES[1][task], LABELS[task]) for task in range(2)]
    assert found is not None
    assert found.value == pytest.approx(np.mean([one.value for one in each]))
    assert standard_error(found) == pytest.approx(np.mean([standard_error(one) for one in each]))
    assert found.low < found.value < found.high
    assert 0 < found.p_value < 1


@pytest.mark.parametrize(
    "change",
    [
        {"weight": pl.lit(1.0)},
        {"label": pl.lit(0.5)},
        {"label": pl.lit(1.0)},
    ],
    ids=["weights", "soft labels", "one class"],
)
def test_rows_that_the_test_does_not_take_give_none(change: dict[str, pl.Expr]) -> None:
    assert predictions_difference(*(predictions(model).with_columns(**change) for model in range(2))) is None
