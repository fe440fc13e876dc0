import numpy as np
import pytest

from recsys.judging.report.thin import thin

RANDOM = np.random.default_rng(0)
MANY = 300_000
CURVES = {
    "concave": (np.linspace(0, 1, MANY), np.sqrt(np.linspace(0, 1, MANY))),
    "steep": (np.linspace(0, 1, MANY) ** 4, np.linspace(0, 1, MANY)),
    "steps": (np.sort(RANDOM.random(MANY)), np.linspace(0, 1, MANY) // 0.1),
    "noisy at its beginning": (np.linspace(0, 1, MANY), 0.1 + RANDOM.normal(size=MANY) / np.arange(10, MANY + 10)),
    "flat": (np.linspace(0, 1, MANY), np.ones(MANY)),
}


@pytest.mark.parametrize("name", CURVES)
def test_few_points_draw_the_same_line(name: str) -> None:
    x, y = CURVES[name]
    kept = thin(x, y)
    height = np.ptp(y) or 1.0
    assert 2 <= len(kept) <= 400
    assert (kept[0], kept[-1]) == (0, MANY - 1)
    assert np.all(np.diff(kept) > 0)
    columns = np.floor(x * 300).astype(int)  # on a picture 300 pixels wide, the lines cover the same pixels
    drawn = np.interp(x, x[kept], y[kept])
    for column in np.unique(columns)[1:-1]:
        inside = np.flatnonzero(np.abs(columns - column) <= 1)
        low, high = drawn[inside].min(), drawn[inside].max()
        own = y[columns == column]
        assert low - 0.005 * height <= own.min()
        assert own.max() <= high + 0.005 * height


@pytest.mark.parametrize("number", [0, 1, 2])
def test_what_has_no_shape_stays(number: int) -> None:
    assert thin(np.arange(number, dtype=float), np.ones(number)).tolist() == list(range(number))


def test_points_on_a_line_are_left_out() -> None:
    x = np.array([0.0, 0.25, 0.5, 0.75, 1.0])
    assert thin(x, 2 * x).tolist() == [0, 4]
    assert thin(x, np.array([0.0, 0.0, 1.0, 0.0, 0.0])).tolist() == [0, 1, 2, 3, 4]


def test_one_point_many_times_is_a_point() -> None:
    assert thin(np.zeros(50_000), np.zeros(50_000)).tolist() == [0, 49_999]
