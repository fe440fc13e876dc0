from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from matplotlib.axes import Axes
from matplotlib.text import Annotation, Text

from recsys.judging.pareto import Point, Series, draw_pareto, pareto_figure

CROWD = [Series([Point(f"scheme_{number}", 39_900 + 400 * number, 0.8 + 0.0005 * number, 0.01)]) for number in range(9)]
FULL = Series([Point("full", 842_100, 0.85)], "full table")
OPTIONS: dict[str, Any] = {"front": [], "reference": FULL, "budgets": [43_100], "x_label": "bytes", "y_label": "AUC"}


def drawn(series: list[Series] = CROWD, **changes: Any) -> Axes:
    figure = pareto_figure(series, **(OPTIONS | changes))
    figure.draw_without_rendering()
    return figure.axes[0]


def labels(axes: Axes) -> list[Annotation]:
    return [text for text in axes.texts if isinstance(text, Annotation) and text.arrow_patch is not None]


def places(axes: Axes) -> set[tuple[float, float]]:
    return {(x, y) for line in axes.lines for x, y in line.get_xydata().tolist()}  # type: ignore[union-attr]


def test_every_point_and_the_full_table_stand_at_their_true_bytes() -> None:
    points = [point for one in (*CROWD, FULL) for point in one.points]
    assert {(point.serving_bytes, point.auc) for point in points} <= places(drawn())
    assert {label.xy for label in labels(drawn())} == {(point.serving_bytes, point.auc) for point in points}


def test_labels_of_points_that_are_close_together_do_not_overlap() -> None:
    axes = drawn()
    boxes = [Text.get_window_extent(label) for label in labels(axes)]  # without the lines that lead to the points
    assert len(boxes) == 10
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))


def test_the_axis_names_bytes() -> None:
    axes = drawn()
    names = {axes.xaxis.get_major_formatter()(size) for size in (1e4, 1e5, 1e6)}
    assert names == {"10 kB", "100 kB", "1 MB"}


def test_where_few_powers_of_ten_are_shown_their_multiples_have_names_too() -> None:
    far = [*CROWD, Series([Point("small", 100, 0.6)])]
    assert drawn(reference=None).xaxis.get_minor_formatter()(40_000) == "40 kB"
    assert drawn(far).xaxis.get_minor_formatter()(40_000) == ""


def test_the_front_is_a_line_and_its_labels_are_bold() -> None:
    front = [CROWD[0].points[0], FULL.points[0]]
    axes = drawn(front=front)
    (line,) = (line for line in axes.lines if line.get_label() == "front")
    assert line.get_xydata().tolist() == [[39_900, 0.8], [842_100, 0.85]]  # type: ignore[union-attr]
    assert {label.get_text() for label in labels(axes) if label.get_weight() == "bold"} == {"scheme_0", "full"}


def test_budgets_are_dotted_lines_with_their_bytes() -> None:
    axes = drawn(budgets={43_100, 8_400})
    lines = {line.get_xdata()[0] for line in axes.lines if line.get_linestyle() == ":"}  # type: ignore[index]
    assert lines == {43_100, 8_400}
    assert {"43.1 kB", "8.4 kB"} <= {text.get_text() for text in axes.texts}


def test_muted_points_have_no_labels() -> None:
    axes = drawn([Series([Point("w-1", 5000, 0.7), Point("w-2", 6000, 0.7)], "candidate", is_muted=True)])
    assert [label.get_text() for label in labels(axes)] == ["full"]


@pytest.mark.parametrize("name", ["$\\frac$", "a$b$c", "<script>", "_hidden", "%s", ""])
def test_any_name_is_drawn_as_it_is(name: str, tmp_path: Path) -> None:
    series = [Series([Point(name, 5000, 0.7)])]
    draw_pareto(tmp_path / "pareto.png", series, **OPTIONS)
    assert [label.get_text() for label in labels(drawn(series))] == ["full", name][: 2 if name else 1]


def test_tables_without_bytes_and_no_points_at_all_are_drawn() -> None:
    drawn([Series([Point("dropped", 0, 0.7)])])
    drawn([], reference=None, budgets=[])


def test_the_same_points_make_the_same_file(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        draw_pareto(tmp_path / name, CROWD, **OPTIONS)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
