"""Write a suggested configuration as YAML, with a comment on each line."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from recsys.config.run import DataSection
from recsys.features.column_profile import ColumnProfile
from recsys.suggest.rules import Suggestion

__all__ = ["Line", "draft"]

_PLAIN = re.compile(r"[A-Za-z_/][\w./%-]*")
_NOT_TEXT = frozenset({"null", "true", "false", "~"})
_SAMPLE_WIDTH = 40


class Line(NamedTuple):
    """One entry of the features section."""

    name: str
    """A feature, or a glob that names several."""
    spec: Mapping[str, object]
    members: Sequence[Suggestion]


def draft(
    label: ColumnProfile,
    *,
    group: str | None,
    weight: str | None,
    lines: Sequence[Line],
    left_out: Sequence[Suggestion],
    paths: Sequence[str],
    data: DataSection,
) -> str:
    """Return the whole file."""
    rows = list(_head(label, group, weight))
    rows.append(("features:", ""))
    rows += [(f"  {_text(line.name)}: {_flow(line.spec)}", _about(line.members)) for line in lines]
    text = "\n".join(_beside(rows))
    if left_out:
        text += "\n  # Left out:\n" + "\n".join(_beside([_commented(one) for one in left_out]))
    return f"{text}\n" + "\n".join(_tail(lines, paths, data)) + "\n"


def _head(label: ColumnProfile, group: str | None, weight: str | None) -> Iterator[tuple[str, str]]:
    yield f"# A first draft from the columns of {label.num_rows:,} rows: check what they mean.", ""
    nulls = f"{label.num_nulls:,} rows without one" if label.num_nulls else ""
    yield f"label: {_text(label.name)}", nulls
    if group is not None:
        yield f"group: {_text(group)}", "GAUC is computed within each of its values"
    if weight is not None:
        yield f"weight: {_text(weight)}", "used by loss and metrics"


def _tail(lines: Sequence[Line], paths: Sequence[str], data: DataSection) -> Iterator[str]:
    if paths:
        yield "data:"
        yield f"  train: {_value(paths[0] if len(paths) == 1 else list(paths))}"
    else:
        yield "# data: {train: FILES}  # or hand the rows to recsys.train"
    times = [line for line in lines if line.members[0].section.reads_time]
    time = next((str(line.spec.get("column", line.name)) for line in times), None)
    yield "  # Without `valid` and `test` the rows are split 80/10/10 at random."
    if time is not None:
        yield f"  # split: {{by: time, column: {_text(time)}}}  # the latest rows are for valid and test"
    if data.format is not None:
        yield f"  format: {data.format}"
    if data.separator is not None:
        yield f"  separator: {_value(data.separator)}"
    if not data.header:
        yield "  header: false"
        yield f"  columns: {_value(list(data.columns or ()))}"
    if any(line.members[0].section.kind == "sequence" for line in lines):
        yield "model: {tower: din}  # reads histories by attention; mlp takes their mean"


def _commented(one: Suggestion) -> tuple[str, str]:
    spec = f": {_flow(one.spec)}" if one.spec else ""
    facts = f"; {_facts(one.column)}" if one.column.type.is_readable else ""
    return f"  # {_text(one.name)}{spec}", f"{one.note}{facts}"


def _about(members: Sequence[Suggestion]) -> str:
    first, last = members[0], members[-1]
    if len(members) == 1:
        return "; ".join(filter(None, (_facts(first.column), first.note)))
    counts = [one.column.num_distinct for one in members]
    nulls = max(one.column.num_nulls / max(one.column.num_rows, 1) for one in members)
    what = f"{len(members)} columns, {first.name} to {last.name}: {min(counts):,} to {max(counts):,} distinct"
    return what + (f", up to {_share(nulls)} null" if nulls else "")


def _facts(column: ColumnProfile) -> str:
    """Return distinct count, null share, lengths and some values."""
    facts = [f"{column.num_distinct:,} distinct"]
    if column.num_nulls:
        facts.append(f"{_share(column.num_nulls / column.num_rows)} null")
    if column.mean_length is not None:
        facts.append(f"{column.mean_length:.1f} a row, 95 % have at most {column.p95_length}")
    if column.minimum is not None and column.maximum is not None and not column.is_list:
        facts.append(f"{_rounded(column.minimum)} to {_rounded(column.maximum)}")
    if column.sample:
        facts.append(f"e.g. {_sample(column.sample)}")
    return ", ".join(facts)


def _rounded(value: float) -> str:
    return f"{value:.0f}" if value.is_integer() and abs(value) < 1e18 else f"{value:.4g}"


def _share(share: float) -> str:
    return f"{100 * share:.1f} %" if share >= 0.001 else "under 0.1 %"


def _sample(values: Iterable[str]) -> str:
    shown = ""
    for value in values:
        one = _short(_quoted(value)[1:-1])  # no line ends in a comment
        if shown and len(shown) + len(one) > _SAMPLE_WIDTH:
            break
        shown += f", {one}" if shown else one
    return shown


def _short(value: str) -> str:
    """Cut long texts, and the digits of fractions.

    >>> _short("0.00876811737874797"), _short("1.0"), _short("2024.10.21")
    ('0.008768', '1.0', '2024.10.21')
    """
    if re.fullmatch(r"-?\d+\.\d{3,}", value):
        return f"{float(value):.4g}"
    return value if len(value) <= _SAMPLE_WIDTH else f"{value[: _SAMPLE_WIDTH - 3]}..."


def _beside(rows: Sequence[tuple[str, str]]) -> Iterator[str]:
    """Put the comments in one column, as far as the lines allow."""
    width = min(max((len(row) for row, comment in rows if comment), default=0), 60)
    for row, comment in rows:
        yield f"{row:<{width}}  # {comment}" if comment else row


def _flow(spec: Mapping[str, object]) -> str:
    return "{" + ", ".join(f"{key}: {_value(value)}" for key, value in spec.items()) + "}"


def _value(value: object) -> str:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_value, value)) + "]"
    return json.dumps(value)


def _text(text: str) -> str:
    """Return a YAML scalar that is read as this text."""
    is_plain = _PLAIN.fullmatch(text) and text.lower() not in _NOT_TEXT
    return text if is_plain else _quoted(text)


def _quoted(text: str) -> str:
    r"""Return a double-quoted scalar.

    >>> print(_quoted("a tab\t and a line separator\u2028"))
    "a tab\t and a line separator\U00002028"
    """
    shown = json.dumps(text, ensure_ascii=False)
    return "".join(one if one.isprintable() else f"\\U{ord(one):08x}" for one in shown)
