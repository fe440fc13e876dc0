"""The same training on one process and on two: the same losses, the same figures."""

from pathlib import Path
from typing import Any

import pytest

from tests.ranks.run_on_ranks import run_on_ranks
from tests.training.train_steps import Course, train_steps

pytestmark = pytest.mark.ranks

STEPS = 200
SPARSE = {"lr": 0.2, "eps": 1e-6}
"""With a smaller eps a first gradient that is nothing but rounding moves a row by as much as any other."""
TRAIN: dict[str, Any] = {
    "batch_size": 37,
    "sparse_optimizer": SPARSE,
    "dense_optimizer": {"lr": 0.001},
    "regularization": {"rows": 0},
}
"""Parts of a batch differ by a row. A dense rate of 0.01 lets the rounding of dice, which divides by small standard
deviations, grow to 5e-5 in 200 steps, on one process too where only the order of the rows of a batch is another."""
ADAGRAD = TRAIN | {"sparse_optimizer": SPARSE | {"name": "adagrad"}}
PLAIN: dict[str, Any] = {"model": {"tower": "mlp", "dim": 8, "mlp": [16]}, "train": TRAIN}
DIN: dict[str, Any] = {"tower": "din", "dim": 8, "attention": [8], "mlp": [16], "activation": "dice"}
EVERYTHING = {"features": ["user", "item"], "dim": 8}


def sharded(kind: str) -> dict[str, Any]:
    tables = {name: {"features": [name], "dim": 8, "sharding": kind} for name in ("user", "item")}
    return PLAIN | {"tables": tables, "train": ADAGRAD}


CASES: dict[str, dict[str, Any]] = {
    "chosen": PLAIN,
    "table_wise": sharded("table_wise"),
    "row_wise": sharded("row_wise"),
    "column_wise": sharded("column_wise"),
    "row_wise, rowwise_adagrad": sharded("row_wise") | {"train": TRAIN},
    "unified": PLAIN | {"tables": {"t": EVERYTHING | {"scheme": "unified", "rows": 50, "sharding": "row_wise"}}},
    "qr": PLAIN | {"tables": {"t": EVERYTHING | {"scheme": "qr", "divisor": 5, "sharding": "row_wise"}}},
    "din": PLAIN | {"model": DIN},
    "din, row_wise": sharded("row_wise") | {"model": DIN},
    "weights": PLAIN | {"weight": "weight"},
    "regularized": PLAIN | {"train": TRAIN | {"regularization": {"rows": 0.004}}},
    "served in 16 bits": sharded("row_wise") | {"tables": {"t": EVERYTHING | {"serving_precision": "fp16"}}},
    "no tables": PLAIN | {"tables": {"t": EVERYTHING | {"scheme": "int8"}}},
    "clipped": PLAIN | {"train": TRAIN | {"gradient_clip": 0.01}},
}


@pytest.fixture(scope="module")
def courses(uneven: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[int, list[dict[str, Course]]]:
    """Of one process and of two, all cases, by the number of processes and the rank."""
    scratch = tmp_path_factory.mktemp("configs")
    found = {1: [train_steps(uneven, CASES, scratch / "1", STEPS)]}
    found[2] = run_on_ranks(train_steps, uneven, CASES, scratch / "2", STEPS, seconds=300)
    return found


@pytest.mark.parametrize("case", CASES)
def test_two_ranks_have_the_losses_and_the_auc_of_one(case: str, courses: dict[int, list[dict[str, Course]]]) -> None:
    alone, first, second = courses[1][0][case], courses[2][0][case], courses[2][1][case]
    assert first.losses == second.losses
    assert first.losses == pytest.approx(alone.losses, abs=1e-5)
    assert first.auc == pytest.approx(alone.auc, abs=1e-6)
    assert alone.losses[-14] < alone.losses[0] - 0.05  # it has learned something that could be different
    assert [a + b for a, b in zip(first.parts, second.parts, strict=True)] == alone.parts


@pytest.mark.parametrize(
    ("case", "first", "second"),
    [
        ("table_wise", [(21, 8)], [(13, 8)]),
        ("row_wise", [(7, 8), (11, 8)], [(6, 8), (10, 8)]),
        ("column_wise", [(13, 4), (21, 4)], [(13, 4), (21, 4)]),
        ("unified", [(25, 8)], [(25, 8)]),
    ],
)
def test_each_rank_holds_its_part_of_the_tables(
    case: str,
    first: list[tuple[int, int]],
    second: list[tuple[int, int]],
    courses: dict[int, list[dict[str, Course]]],
) -> None:
    assert sorted(sorted(rank[case].tables) for rank in courses[2]) == sorted([first, second])


def test_ids_that_are_sent_ahead_change_nothing(
    uneven: Path, courses: dict[int, list[dict[str, Course]]], tmp_path: Path
) -> None:
    """The pipeline of CUDA, which runs on CPUs as well; over the ends of epochs, and with a scoring at last."""
    cases = {case: CASES[case] for case in ("chosen", "din, row_wise", "clipped")}
    ahead = run_on_ranks(train_steps, uneven, cases, tmp_path, 2 * 14 + 3, overlap=True)
    for case, course in ahead[0].items():
        assert course.losses == pytest.approx(courses[2][0][case].losses[: 2 * 14 + 3], abs=1e-6), case
        assert course.parts == courses[2][0][case].parts[: 2 * 14 + 3]


def test_a_rank_may_have_no_rows_of_a_batch(courses: dict[int, list[dict[str, Course]]]) -> None:
    assert 0 in courses[2][0]["chosen"].parts
