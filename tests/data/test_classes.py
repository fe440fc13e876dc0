from pathlib import Path

import pytest

from recsys.config import Config
from recsys.data.classes import ClassWeights, missing_classes
from recsys.data.prepared import PreparedSplit


def problems(
    num_rows: int, positives: dict[str, float], weights: dict[str, tuple[float, float]] | None = None
) -> list[str]:
    shop = Config(label={"click": "clicked", "buy": "bought"}, weight="w", features={"user": {"type": "id"}})
    shares = {task: ClassWeights(*of_task) for task, of_task in (weights or {}).items()}
    return list(missing_classes(PreparedSplit((Path("part.arrow"),), num_rows, positives, shares), shop))


def test_rows_of_both_classes_lack_nothing() -> None:
    assert problems(4, {"click": 1.0, "buy": 0.25}) == []
    assert problems(4, {"click": 1.0, "buy": 0.25}, {"click": (1e-9, 2.0), "buy": (0.5, 1.5)}) == []


@pytest.mark.parametrize(
    ("num_rows", "positives", "weights", "expected"),
    [
        (0, {"click": 0.0, "buy": 0.0}, None, ["has no rows"]),
        (4, {"click": 0.0, "buy": 4.0}, None, ["clicked is 0 in all 4 rows", "bought is 1 in all 4 rows"]),
        (4, {"click": 1.0, "buy": 2.0}, {"click": (0.0, 0.0), "buy": (0.0, 0.0)}, ["w is 0 in all 4 rows"]),
        (4, {"click": 1.0, "buy": 2.0}, {"click": (0, 3.0), "buy": (1, 2.0)}, ["w is 0 in all rows with clicked = 1"]),
        (4, {"click": 1.0, "buy": 2.0}, {"click": (3, 0.0), "buy": (1, 2.0)}, ["w is 0 in all rows with clicked = 0"]),
        (4, {"click": 1.0, "buy": 4.0}, {"click": (1, 2.0), "buy": (3.0, 0)}, ["bought is 1 in all 4 rows"]),
    ],
)
def test_a_class_without_rows_or_weight_is_named(
    num_rows: int, positives: dict[str, float], weights: dict[str, tuple[float, float]] | None, expected: list[str]
) -> None:
    assert problems(num_rows, positives, weights) == expected
