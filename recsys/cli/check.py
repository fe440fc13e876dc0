"""`recsys check`: what a config makes of each column, before anything is trained.

Needs torch only for the sizes of compressed tables, and imports it then: most answers come at once.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from rich.table import Table

from recsys.cli.sample import read_sample
from recsys.config import Config, ResolvedConfig, ResolvedTable, missing_columns, resolve, warnings_of
from recsys.config.globs import is_glob
from recsys.console import log, print_table
from recsys.data.classes import Counted, check_splits, missing_figures
from recsys.data.downsample import describe_rows_left
from recsys.data.prepare import find_key_kinds, find_prepared
from recsys.data.splits import SplitName
from recsys.errors import ConfigError, DataError
from recsys.features.coverage import Coverage
from recsys.features.coverage_report import coverage_report
from recsys.features.state import TransformState
from recsys.features.warn import warnings_about
from recsys.sources.find_files import find_files
from recsys.sources.source import open_source

__all__ = ["show_plan"]


class Size(NamedTuple):
    """Ids of a vocabulary."""

    num_ids: int | None
    """None: open, or nobody has looked."""
    bound: str = ""
    """Sign before a number of which training may find another: ">= " or "<= "."""

    def __str__(self) -> str:
        return "?" if self.num_ids is None else f"{self.bound}{self.num_ids:,}"


def show_plan(config: Config, *, data_dir: Path, cache_dir: Path) -> None:
    """Hold a config against its data where that is there, and print a table of features.

    Raises:
        ConfigError: the config does not fit the columns of the data.
        DataError: the data is there and lacks a column, or its first rows do not hold what the config promises, or
            all rows of a split are known and of one class.
    """
    if config.data.train is None:
        _print_unresolved(config, "it names no training data (data.train)")
        return
    try:
        files = find_files(config.data.train, data_dir, "data.train")
    except DataError as error:
        _print_unresolved(config, str(error))
        return
    source = open_source(files, config.data)
    resolved = resolve(config, list(source.columns))
    missing = missing_columns(resolved, list(source.columns))
    if missing:
        raise DataError("\n".join(f"{column} ({files[0]})" for column in missing))
    _warn(warnings_of(resolved))
    prepared = find_prepared(config, data_dir, cache_dir)
    if prepared is not None:
        _check_classes(prepared.splits, config)
        _warn(warnings_about(resolved, prepared.state))
        if (train := prepared.splits["train"]).left_out:
            log(describe_rows_left(config, train.num_rows, train.left_out))
        _show(resolved, _sizes(resolved, prepared.state), _table_bytes(resolved, prepared.state))
        _report({name: split.coverage for name, split in prepared.splits.items()}, resolved)
        return
    sample = read_sample(resolved, source, find_key_kinds(config, data_dir), data_dir)
    _check_classes(sample.classes, config)
    _warn(warnings_about(resolved, sample.state))
    is_cut = config.data.valid is None
    bound = ("<= " if is_cut else "") if sample.whole else ">= "
    _show(resolved, _sizes(resolved, sample.state, bound), _table_bytes(resolved, sample.state, is_bound=bool(bound)))
    seen = f"{'all' if sample.whole else 'the first'} {sample.state.num_rows + sample.left_out:,} rows"
    own = "what is left of them after the split" if sample.whole and is_cut else "all training rows"
    if not sample.whole or is_cut:
        log(f"Vocabularies were counted on {seen}; training counts {own}.")
    if sample.left_out:
        of = "rows of data.train" if sample.whole else "first rows of data.train"
        log(describe_rows_left(config, sample.state.num_rows, sample.left_out, of))
    _report(sample.coverage, resolved)


def _check_classes(splits: Mapping[SplitName, Counted], config: Config) -> None:
    """Refuse, or warn of, splits without rows or classes as training does; `splits` are those whose rows are known."""
    check_splits(splits, config)
    _warn(missing_figures(splits, config))


def _report(coverage: Mapping[SplitName, Mapping[str, Coverage]], resolved: ResolvedConfig) -> None:
    for line in coverage_report(coverage, resolved, prefix="data."):
        log(line)


def _show(resolved: ResolvedConfig, sizes: Mapping[str, Size], table_bytes: Mapping[str, int | None]) -> None:
    from recsys.units import format_bytes

    shown = {name: format_bytes(size) for name, size in table_bytes.items()}
    print_table(_features(resolved, sizes, shown))
    known = [size for size in table_bytes.values() if size is not None]
    unknown = " and what is not known yet" if len(known) < len(table_bytes) else ""
    counts = f"{_count(resolved.fields, 'field')}, {_count(resolved.tables, 'table')}"
    print(f"{counts}, {format_bytes(sum(known))} when served{unknown}")


def _warn(warnings: list[str]) -> None:
    for warning in warnings:
        log(f"warning: {warning}")


def _print_unresolved(config: Config, why: str) -> None:
    globs = [name for name in config.features if is_glob(name)]
    if not globs:
        resolved = resolve(config, [])
        _warn(warnings_of(resolved))
        print_table(_features(resolved, {}, {}))
    log(f"The config is valid; sizes are not known: {why}")
    if globs:
        log(f"Not expanded, since there are no columns to match: {', '.join(globs)}")


def _sizes(resolved: ResolvedConfig, state: TransformState, bound: str = "") -> dict[str, Size]:
    """Return the size of each vocabulary; `bound` is put before those that are counted."""
    sizes = {}
    for field in resolved.fields:
        if field.vocabulary is not None:
            feature = resolved.features[field.feature]
            learnt = getattr(feature, "vocabulary", None) == "learnt" or getattr(feature, "quantiles", None) is not None
            sizes[field.name] = Size(state.num_ids(field), bound if learnt else "")
    return sizes


def _table_bytes(resolved: ResolvedConfig, state: TransformState, *, is_bound: bool = False) -> dict[str, int | None]:
    """Return the bytes of each table as it is served; None for one that the vocabularies seen so far cannot fill.

    Args:
        resolved: its tables.
        state: sizes of the vocabularies.
        is_bound: training may find other sizes, so that a table which cannot be built now is no mistake yet.

    Raises:
        ConfigError: a table cannot be built as the config says.
    """
    found: dict[str, int | None] = {}
    for table in resolved.tables:
        num_ids = [state.num_ids(resolved.field(owner)) for owner in resolved.vocabularies_in(table)]
        known = (
            None if None in num_ids else table.spec.known_bytes([ids for ids in num_ids if ids is not None], table.dim)
        )
        found[table.name] = _built_bytes(resolved, state, table, is_bound=is_bound) if known is None else known
    return found


def _built_bytes(
    resolved: ResolvedConfig, state: TransformState, table: ResolvedTable, *, is_bound: bool
) -> int | None:
    """Return the bytes of a table whose scheme must be built to know them, which takes torch."""
    import torch

    from recsys.embeddings.budget import UnreachableError
    from recsys.embeddings.build import build_schemes
    from recsys.embeddings.vocabularies import vocabularies_by_table

    try:
        with torch.device("meta"), resolved.config.source.locating():
            schemes = build_schemes(table, vocabularies_by_table(resolved, state)[table.name])
            return sum(scheme.serving_bytes() for scheme in schemes)
    except ConfigError as error:
        if not (is_bound and isinstance(error.__cause__, UnreachableError)):
            raise
        return None


def _features(resolved: ResolvedConfig, sizes: Mapping[str, Size], table_bytes: Mapping[str, str]) -> Table:
    shown = Table("feature", "type", "vocabulary", "ids", "table", "dim", "bytes", box=None, pad_edge=False)
    of_field = {name: table for table in resolved.tables for name in table.fields}
    for field in resolved.fields:
        feature = resolved.features[field.feature]
        if not field.has_ids:
            shown.add_row(field.name, feature.type, "", "", "", "1", "")
            continue
        table = of_field[field.name]
        size = sizes.get(resolved.vocabulary_of(field), Size(None))
        alone = len(table.fields) == 1 or field.name == table.fields[0]
        shown.add_row(
            field.name,
            feature.type,
            feature.vocabulary_form(),
            "any" if field.open else str(size),
            f"{table.name} ({table.spec.scheme})",
            str(table.dim),
            table_bytes.get(table.name, "?") if alone else '"',
        )
    return shown


def _count(things: tuple[object, ...], name: str) -> str:
    return f"{len(things)} {name}{'' if len(things) == 1 else 's'}"
