"""`recsys check`: what a config makes of each column, before anything is trained. Needs no torch."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from recsys.cli.progress import console, print_table
from recsys.config import Config, Plan, PlannedTable, TimeSplit, load_config, missing_columns, resolve
from recsys.config.globs import is_glob
from recsys.data.prepare import find_prepared
from recsys.data.splits import time_keys
from recsys.data.targets import target_columns, targets
from recsys.errors import DataError
from recsys.features.canonical import canonical, input_columns
from recsys.features.fit import Fitting, key_kinds
from recsys.features.source import Piece, Source, find_files, open_source
from recsys.features.state import TransformState

__all__ = ["show_plan"]

SAMPLE_ROWS = 200_000
"""Rows that are read as training would, where nothing was prepared yet."""


class Sample(NamedTuple):
    """What was learnt of the first rows."""

    state: TransformState
    whole: bool
    """There are no other rows."""


class Size(NamedTuple):
    """Ids of a vocabulary."""

    num_ids: int | None
    """None: open, or nobody has looked."""
    bound: str = ""
    """Before the number, where training may find another: ">= " or "<= "."""

    def __str__(self) -> str:
        return "?" if self.num_ids is None else f"{self.bound}{self.num_ids:,}"


def show_plan(path: Path, *, data_dir: Path, cache_dir: Path) -> None:
    """Load a config, hold it against its data where that is there, and print a table of features.

    Raises:
        ConfigError: all problems of the file at once.
        DataError: the data is there and lacks a column, or its first rows do not hold what the config promises.
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
    if prepared is not None:
        _show(plan, _sizes(plan, prepared.state))
        return
    sample = _sampled(plan, source)
    is_cut = config.data.valid is None
    _show(plan, _sizes(plan, sample.state, ("<= " if is_cut else "") if sample.whole else ">= "))
    seen = f"{'all' if sample.whole else 'the first'} {sample.state.num_rows:,} rows"
    own = "what is left of them after the split" if sample.whole and is_cut else "all training rows"
    if not sample.whole or is_cut:
        console.print(f"Vocabularies were counted on {seen}; training counts {own}.")


def _show(plan: Plan, sizes: Mapping[str, Size]) -> None:
    print_table(_features(plan, sizes))
    Console(highlight=False).print(_summary(plan, sizes))


def _say_unresolved(config: Config, why: str) -> None:
    globs = [name for name in config.features if is_glob(name)]
    if not globs:
        print_table(_features(resolve(config, []), {}))
    console.print(f"The config is valid; sizes are not known: {why}", markup=False, soft_wrap=True)
    if globs:
        console.print(f"Not expanded, since there are no columns to match: {', '.join(globs)}", markup=False)


def _sampled(plan: Plan, source: Source) -> Sample:
    """Read the first rows as training reads all.

    Raises:
        DataError: there are no rows, or they do not hold what the plan promises: the first problem of each column.
    """
    kinds = key_kinds(plan, source.columns)
    fitting = Fitting(plan)
    split = plan.config.data.split
    times = [split.column] if isinstance(split, TimeSplit) else []
    for piece in source.pieces(list(dict.fromkeys(input_columns(plan) + target_columns(plan.config) + times))):
        kept = piece._replace(frame=piece.frame[: SAMPLE_ROWS - fitting.num_rows])
        problems = _problems(kept, plan, TransformState(key_kinds=kinds), times)
        if problems:
            raise DataError("\n".join(problems))
        fitting.add(canonical(kept.frame, plan, TransformState(key_kinds=kinds), kept.place))
        if len(kept.frame) < len(piece.frame) or fitting.num_rows == SAMPLE_ROWS:
            return Sample(fitting.finish(kinds), whole=False)
    if not fitting.num_rows:
        raise DataError(f"data.train: no training rows in {', '.join(str(file.path) for file in source.files)}")
    return Sample(fitting.finish(kinds), whole=True)


def _problems(piece: Piece, plan: Plan, state: TransformState, times: list[str]) -> list[str]:
    """Return the first problem of the targets, of the times to split by, and of each feature."""
    frame, place = piece.frame, piece.place
    parts = [replace(plan, features={name: feature}) for name, feature in plan.features.items()]
    checks: list[Callable[[], object]] = [partial(targets, frame, plan.config, place)]
    checks += [partial(time_keys, frame[column], plan, place) for column in times]
    checks += [partial(canonical, frame, part, state, place) for part in parts]
    problems = []
    for check in checks:
        try:
            check()
        except DataError as error:
            problems.append(str(error))
    return list(dict.fromkeys(problems))


def _sizes(plan: Plan, state: TransformState, bound: str = "") -> dict[str, Size]:
    """Return the size of each vocabulary; `bound` is put before those that are counted."""
    sizes = {}
    for field in plan.fields:
        if field.vocabulary is not None:
            feature = plan.features[field.feature]
            learnt = getattr(feature, "vocabulary", None) == "learnt" or getattr(feature, "quantiles", None) is not None
            sizes[field.name] = Size(state.num_ids(field), bound if learnt else "")
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
        size = sizes.get(plan.vocabulary_of(field), Size(None))
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
    return f"{_count(plan.fields, 'field')}, {_count(plan.tables, 'table')}, {_human(total)} of weights{unknown}"


def _count(things: tuple[object, ...], name: str) -> str:
    return f"{len(things)} {name}{'' if len(things) == 1 else 's'}"


def _human(num_bytes: int | None) -> str:
    if num_bytes is None:
        return "?"
    size = float(num_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    raise AssertionError
