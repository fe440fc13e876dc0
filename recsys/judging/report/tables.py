"""Tables of a page: numbers under each other, an interval beside its value and as a small picture."""

from collections.abc import Iterable, Mapping, Sequence
from math import isfinite
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from recsys.judging.report.markup import Content, Markup, element, join

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Column", "figure_cell", "frame_table", "interval_bar", "number", "percent", "scale_of", "table"]

_WIDTH, _HEIGHT = 120, 14
_SCALED_ROWS = 15


class Column(NamedTuple):
    """A column of a frame, as it is shown."""

    name: str
    label: str
    kind: Literal["text", "count", "figure", "share", "word"] = "figure"
    """text: names a line. figure: with its interval from NAME_low and NAME_high, if the frame has them."""
    digits: int = 4
    bar: float | None = None
    """Draw the interval, with a line at this value; None for no picture."""
    is_signed: bool = False
    figure: str = ""
    """The figure that columns of several runs show, whose pictures share a scale. Default: the name."""


def table(caption: str, head: Sequence[Content], rows: Iterable[Sequence[Content]], *, text_columns: int = 1) -> Markup:
    """Return a table within a box that scrolls.

    Args:
        caption: what the table holds, for those who hear the page.
        head: cells of the head.
        rows: cells of each row; the first one is its head.
        text_columns: number of columns, the first ones, that are text; the others are numbers.
    """
    looks = ["text" if place < text_columns else "number" for place in range(len(head))]
    heads = [element("th", cell, scope="col", class_=look) for cell, look in zip(head, looks, strict=True)]
    lines = [
        element(
            "tr",
            [
                element("td", cell, class_=look) if place else element("th", cell, scope="row", class_=look)
                for place, (cell, look) in enumerate(zip(row, looks, strict=True))
            ],
        )
        for row in rows
    ]
    written = element(
        "table", element("caption", caption), element("thead", element("tr", heads)), element("tbody", lines)
    )
    return element("div", written, class_="scroll", tabindex="0", role="region", aria_label=caption)


def frame_table(caption: str, frame: "pl.DataFrame", columns: Sequence[Column], *, start: int = 0, rows: int) -> Markup:
    """Return a table of some rows of a frame, with pictures on one scale.

    Args:
        caption: what the table holds.
        frame: what is shown; columns that it lacks are left out.
        columns: the columns, those of kind text first.
        start: the first row that is shown.
        rows: show so many.
    """
    shown = [column for column in columns if column.name in frame.columns]
    scales = _scales(frame, [column for column in shown if column.bar is not None])
    lines = [
        [_cell(row, column, scales.get(column.name)) for column in shown] for row in frame.slice(start, rows).to_dicts()
    ]
    texts = sum(column.kind == "text" for column in shown)
    return table(caption, [column.label for column in shown], lines, text_columns=texts)


def _cell(row: Mapping[str, Any], column: Column, scale: float | None) -> Content:
    value = row[column.name]
    if column.kind in ("text", "word"):
        return "" if value is None else str(value)
    if not _is_known(value):
        return element("span", "not defined", class_="soft")
    if column.kind == "share":
        return percent(value) if value > 0 else ""
    if column.kind == "count":
        return f"{value:,.0f}"
    low, high = row.get(f"{column.name}_low"), row.get(f"{column.name}_high")
    bar = interval_bar(value, low, high, middle=column.bar, scale=scale) if scale and column.bar is not None else ""
    return join(figure_cell(value, low, high, digits=column.digits, is_signed=column.is_signed), bar)


def figure_cell(
    value: float, low: float | None, high: float | None, *, digits: int = 4, is_signed: bool = False
) -> Markup:
    """Return a figure and, if it is known, its interval."""
    written = number(value, digits, is_signed=is_signed)
    if not (_is_known(low) and _is_known(high)):
        return Markup(element("span", written))
    assert low is not None
    assert high is not None
    ends = f"{number(low, digits, is_signed=is_signed)} to {number(high, digits, is_signed=is_signed)}"
    return join(element("span", written), element("span", ends, class_="ends"))


def number(value: float, digits: int, *, is_signed: bool = False) -> str:
    """Return a number with a true minus; one that is not finite is said in words.

    >>> number(-0.00123, 4, is_signed=True), number(float("nan"), 4)
    ('\N{MINUS SIGN}0.0012', 'not defined')
    """
    if not isfinite(value):
        return "not defined"
    written = f"{value:{'+' if is_signed else ''},.{digits}f}"
    return written.replace("-", "\N{MINUS SIGN}")


def percent(share: float, digits: int = 1) -> str:
    """Return a share in percent.

    >>> percent(0.1234), percent(0.5, 0)
    ('12.3 %', '50 %')
    """
    return f"{100 * share:.{digits}f} %"


def interval_bar(value: float, low: float | None, high: float | None, *, middle: float, scale: float) -> Markup:
    """Return a small picture of an interval; a line through all those of a column marks the middle.

    Args:
        value: the figure, a dot if it is defined.
        low: the lower end; no interval is drawn if it is not known.
        high: the upper end.
        middle: value in the middle of the picture, such as that of no difference.
        scale: how far the picture goes to both sides.
    """
    spots = [_place(one, middle, scale) for one in (value, low, high) if _is_known(one)]
    parts = [element("path", d=f"M{_WIDTH / 2:g} 0v{_HEIGHT}", class_="middle")]
    if len(spots) == 3:
        parts.append(element("path", d=f"M{spots[1]:.1f} {_HEIGHT / 2:g}H{spots[2]:.1f}", class_="span"))
    if _is_known(value):
        parts.append(element("circle", cx=f"{spots[0]:.1f}", cy=f"{_HEIGHT / 2:g}", r="3"))
    is_off = len(spots) == 3 and not (low or 0.0) <= middle <= (high or 0.0)
    look = "bar off" if is_off else "bar"
    return element("svg", parts, viewBox=f"0 0 {_WIDTH} {_HEIGHT}", class_=look, aria_hidden="true")


def _place(value: float | None, middle: float, scale: float) -> float:
    share = ((value or 0.0) - middle) / scale if scale > 0 else 0.0
    return _WIDTH / 2 * (1 + min(max(share, -1.0), 1.0))


def scale_of(values: Iterable[float | None], middle: float) -> float:
    """Return how far values lie from the middle at most; 0 if there are none."""
    return max((abs(value - middle) for value in values if value is not None and isfinite(value)), default=0.0)


def _scales(frame: "pl.DataFrame", columns: Sequence[Column]) -> dict[str, float]:
    """Return scales on which the values of the first rows are seen; those of the same figure of several runs share one.

    Intervals, and the values of rows that come later, may go beyond it.
    """
    found: dict[str, float] = {}
    frame = frame.head(_SCALED_ROWS)
    for column in columns:
        figure = column.figure or column.name
        found[figure] = max(found.get(figure, 0.0), 1.25 * scale_of(frame[column.name].to_list(), column.bar or 0.0))
    return {column.name: found[column.figure or column.name] for column in columns}


def _is_known(value: float | None) -> bool:
    return value is not None and isfinite(value)
