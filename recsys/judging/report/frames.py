"""Slices and importance on the page; those of several runs side by side, a line for each slice or feature."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from recsys.judging.report.markup import Content, Markup, element, join
from recsys.judging.report.tables import Column, frame_table

if TYPE_CHECKING:
    import polars as pl

__all__ = ["DIFFERENCES", "IMPORTANCE", "SLICES", "Shown", "frames_section"]

_ROWS_SHOWN, _MOST_ROWS = 15, 300
_OTHER = "\0other"


class Shown(NamedTuple):
    """The columns of a frame that are shown."""

    caption: str
    keys: tuple[Column, ...]
    """Columns that are the same for all runs; those of text name a line."""
    figures: tuple[Column, ...]
    compared: tuple[str, ...]
    """Figures that stand side by side for several runs."""


_SLICE = (
    Column("task", "task", "text"),
    Column("column", "column", "text"),
    Column("slice", "slice", "text"),
    Column("rows", "rows", "count"),
    Column("positives", "positives", "count"),
)
SLICES = Shown(
    "Slices, worst first",
    _SLICE,
    (
        Column("auc", "AUC"),
        Column("auc_difference", "AUC minus that of all rows", bar=0.0, is_signed=True),
        Column("calibration", "predicted / actual", bar=1.0, digits=3),
        Column("miscalibration", "off by at least", "share"),
        Column("logloss", "logloss"),
    ),
    ("auc", "calibration"),
)
DIFFERENCES = Shown(
    "Difference by slice",
    _SLICE,
    (
        Column("auc", "AUC", bar=0.0, is_signed=True, digits=5),
        Column("auc_verdict", "by AUC", "word"),
        Column("logloss", "logloss", bar=0.0, is_signed=True, digits=5),
        Column("logloss_verdict", "by logloss", "word"),
    ),
    (),
)
IMPORTANCE = Shown(
    "Features, the one that carries most first",
    (Column("feature", "feature", "text"),),
    (
        Column("auc_loss", "AUC lost without it", bar=0.0, digits=5, is_signed=True),
        Column("logloss_gain", "logloss added without it", bar=0.0, digits=5, is_signed=True),
        Column("verdict", "verdict", "word"),
    ),
    ("auc_loss",),
)


def frames_section(frames: "Sequence[tuple[str, pl.DataFrame | None]]", shown: Shown) -> Markup:
    """Return the frames of runs as one table, the rows after the first ones folded; nothing if no run has rows.

    Args:
        frames: name of each run, and its frame.
        shown: what is shown of them.
    """
    known = [(name, frame) for name, frame in frames if frame is not None and len(frame)]
    if not known:
        return Markup()
    if len(known) == 1:
        ((name, frame),) = known
        caption = f"{name}: {shown.caption}" if len(frames) > 1 else shown.caption
        return _folded(frame, caption, (*shown.keys, *shown.figures))
    return _folded(*_side_by_side(known, shown))


def _side_by_side(
    frames: "Sequence[tuple[str, pl.DataFrame]]", shown: Shown
) -> "tuple[pl.DataFrame, str, list[Column]]":
    """Join the frames of runs by what names a line, in the order of the first run."""
    import polars as pl

    names = [
        column.name
        for column in shown.keys
        if column.kind == "text" and all(column.name in frame.columns for _, frame in frames)
    ]
    columns = list(shown.keys)
    for column in (column for column in shown.figures if column.name in shown.compared):
        columns += [
            column._replace(name=_of(place, column.name), label=f"{column.label}, {run}", figure=column.name)
            for place, (run, _) in enumerate(frames)
        ]
    joined, *others = [_renamed(frame, place, shown) for place, (_, frame) in enumerate(frames)]
    for frame in others:
        joined = joined.join(frame, on=names, how="full", coalesce=True, maintain_order="left_right", suffix=_OTHER)
        twice = [column.name for column in shown.keys if f"{column.name}{_OTHER}" in joined.columns]
        joined = joined.with_columns(pl.coalesce(name, f"{name}{_OTHER}") for name in twice)
        joined = joined.drop(f"{name}{_OTHER}" for name in twice)
    return joined, f"{shown.caption} by {frames[0][0]}", columns


def _renamed(frame: "pl.DataFrame", place: int, shown: Shown) -> "pl.DataFrame":
    """Return a frame whose figures say in their names which run they are of."""
    keys = [column.name for column in shown.keys]
    return frame.rename({name: _of(place, name) for name in frame.columns if name not in keys})


def _of(place: int, name: str) -> str:
    return f"{place}\0{name}"


def _folded(frame: "pl.DataFrame", caption: str, columns: Sequence[Column]) -> Markup:
    """Return the first rows of a frame, and the others folded."""
    parts: list[Content] = [frame_table(caption, frame, columns, rows=_ROWS_SHOWN), _nothing(frame)]
    rest = min(len(frame) - _ROWS_SHOWN, _MOST_ROWS)
    if rest > 0:
        left_out = len(frame) - _ROWS_SHOWN - rest
        more = f"{rest} more" + (f"; another {left_out:,} are in the file beside this page" if left_out else "")
        continued = frame_table(f"{caption}, continued", frame, columns, start=_ROWS_SHOWN, rows=rest)
        parts.append(element("details", element("summary", more), continued))
    return join(parts)


def _nothing(frame: "pl.DataFrame") -> Content:
    """Name the features that are worth nothing, where the frame tells."""
    if "is_nothing" not in frame.columns:
        return ""
    names = [str(name) for name in frame.filter("is_nothing")["feature"]]
    return element("p", f"Worth nothing, as far as these rows tell: {', '.join(names)}.") if names else ""
