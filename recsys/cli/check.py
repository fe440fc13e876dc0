"""`recsys check`: what a config makes of each column, before anything is trained. Needs no torch."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from recsys.cli.progress import console
from recsys.config import Config, Plan, PlannedTable, load_config, missing_columns, resolve
from recsys.config.globs import is_glob
from recsys.data.prepare import find_prepared
from recsys.errors import DataError
from recsys.features.profile import profile
from recsys.features.source import Source, find_files, open_source

__all__ = ["show_plan"]

SAMPLE_ROWS = 200_000
"""Rows looked at for the size of a vocabulary that was not learnt yet."""


class Size(NamedTuple):
    """Ids of a vocabulary."""

    num_ids: int | None
    """None: open, or nobody has looked."""
    at_least: bool
    """Counted on a sample only."""

    def __str__(self) -> str:
        return "?" if self.num_ids is None else f"{'>= ' if self.at_least else ''}{self.num_ids:,}"


def show_plan(path: Path, *, data_dir: Path, cache_dir: Path) -> None:
    """Load a config, hold it against its data where that is there, and print a table of features.

    Raises:
        ConfigError: all problems of the file at once.
        DataError: the data is there and lacks a column.
    """
    config = load_config(path)
    if config.data.train is None:
        _say_unresolved(config, "it names no training data (data.train)")
        return
    try:
        files = find_files(config.data.train, data_dir, "data.train")
    except DataError as error:
        _say_unresolved(config, str(error))
        return
    source = open_source(files, config.data)
    plan = resolve(config, list(source.columns))
    missing = missing_columns(plan, list(source.columns))
    if missing:
        raise DataError("\n".join(f"{column} ({files[0]})" for column in missing))
    prepared = find_prepared(config, data_dir, cache_dir)
    if prepared is None:
        sizes = _sampled_sizes(plan, files[0], source)
    else:
        ids = {field.name: prepared.state.num_ids(field) for field in plan.fields if field.vocabulary}
        sizes = {name: Size(num_ids, False) for name, num_ids in ids.items()}
    Console().print(_features(plan, sizes))
    Console().print(_summary(plan, sizes))
    if prepared is None:
        console.print(f"Vocabularies were counted on the first {SAMPLE_ROWS:,} rows; training learns them exactly.")


def _say_unresolved(config: Config, why: str) -> None:
    globs = [name for name in config.features if is_glob(name)]
    if not globs:
        Console().print(_features(resolve(config, []), {}))
    console.print(f"The config is valid; sizes are not known: {why}", markup=False, soft_wrap=True)
    if globs:
        console.print(f"Not expanded: {', '.join(globs)}", markup=False)


def _sampled_sizes(plan: Plan, file: Path, source: Source) -> dict[str, Size]:
    distinct = {p.name: p.num_distinct for p in profile(file, plan.config.data, max_rows=SAMPLE_ROWS)}
    sizes = {}
    for field in plan.fields:
        feature = plan.features[field.feature]
        column = getattr(feature, "column", None) or field.feature
        counted = distinct.get(column) if column in source.columns and "." not in field.name else None
        vocabulary = getattr(feature, "vocabulary", None)
        if isinstance(vocabulary, tuple):
            sizes[field.name] = Size(len(vocabulary) + 1, False)
        elif feature.type == "bucket":
            edges = feature.boundaries
            sizes[field.name] = Size((len(edges) if edges else (feature.quantiles or 0) - 1) + 2, edges is None)
        elif feature.type in ("id", "ids") and not field.open:
            sizes[field.name] = Size(None if counted is None else counted + 1, True)
        else:
            sizes[field.name] = Size(None, False)
    return sizes


def _bytes(plan: Plan, table: PlannedTable, sizes: Mapping[str, Size]) -> int | None:
    owners = {plan.vocabulary_of(plan.field(name)) for name in table.fields}
    counts = [sizes[owner].num_ids for owner in owners if owner in sizes]
    known = [count or 0 for count in counts]
    if table.spec.scheme == "full" and (len(counts) < len(owners) or None in counts):
        return None
    weights = table.spec.num_weights(sum(known), table.dim)
    return None if weights is None else 4 * weights


def _features(plan: Plan, sizes: Mapping[str, Size]) -> Table:
    shown = Table("feature", "type", "vocabulary", "ids", "table", "dim", "bytes", box=None, pad_edge=False)
    of_field = {name: table for table in plan.tables for name in table.fields}
    for field in plan.fields:
        feature = plan.features[field.feature]
        if field.kind == "number":
            shown.add_row(field.name, "number", "", "", "", "1", "")
            continue
        table = of_field[field.name]
        size = sizes.get(plan.vocabulary_of(field), Size(None, False))
        alone = len(table.fields) == 1 or field.name == table.fields[0]
        shown.add_row(
            field.name,
            feature.type,
            f"of {field.vocabulary}" if field.kind == "sequence" else _vocabulary(feature),
            "any" if field.open else str(size),
            f"{table.name} ({table.spec.scheme})",
            str(table.dim),
            _human(_bytes(plan, table, sizes)) if alone else '"',
        )
    return shown


def _vocabulary(feature: object) -> str:
    vocabulary = getattr(feature, "vocabulary", "fixed")
    return "listed" if isinstance(vocabulary, tuple) else str(vocabulary)


def _summary(plan: Plan, sizes: Mapping[str, Size]) -> str:
    known = [_bytes(plan, table, sizes) for table in plan.tables]
    total = sum(size for size in known if size is not None)
    unknown = "" if None not in known else " and what is not known yet"
    return f"{len(plan.fields)} fields, {len(plan.tables)} tables, {_human(total)} of weights{unknown}"


def _human(num_bytes: int | None) -> str:
    if num_bytes is None:
        return "?"
    size = float(num_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    raise AssertionError
