"""Columns of raw files beside predictions: read as a stream, and checked row by row to be those that were scored."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from recsys.config import Config, DataSection, ResolvedConfig, load_resolved
from recsys.config.globs import is_glob, matches
from recsys.data.raw_rows import RawRows, SplitChunk, find_raw_rows
from recsys.data.splits import NoCut, SplitName
from recsys.data.targets import target_columns, targets
from recsys.errors import DataError
from recsys.evaluation.predictions import Predictions
from recsys.features.state import TransformState
from recsys.features.transform import input_columns
from recsys.judging.groupings import Known, RawColumn
from recsys.progress import OnProgress, no_progress
from recsys.run_folder import RunFolder
from recsys.sources.find_files import find_files
from recsys.sources.location import no_column
from recsys.sources.source import Source, open_source

__all__ = [
    "columns_beside_scores",
    "columns_of_files",
    "columns_of_split",
    "feature_columns",
    "known_columns",
    "require_columns",
]


def columns_of_split(
    run: RunFolder,
    split: SplitName,
    by: Sequence[str],
    predictions: Mapping[str, Predictions],
    *,
    data_dir: Path | None = None,
    on_progress: OnProgress = no_progress,
) -> dict[str, RawColumn]:
    """Read columns of the rows of a run's split from the files that it was trained on, for `slices`.

    Args:
        run: the folder of the run.
        split: the split that the run has predictions of.
        by: names of columns, or globs of them; they need not be features.
        predictions: the run's predictions of the split by task.
        data_dir: folder of the raw files. Default: where they lay in training.
        on_progress: called as rows are read.

    Raises:
        DataError: the files are gone, or their rows are not those that were scored; or there is no such column.
    """
    resolved = load_resolved(run.config)
    folder = run.read_data_dir() if data_dir is None else data_dir
    try:
        rows = find_raw_rows(resolved, folder, split, on_progress)
    except DataError as error:
        remedy = "name the folder that they are in now by --data-dir, or files to evaluate the run on"
        raise DataError(f"{error}; slices are made of the files that {run.path} was trained on: {remedy}") from error
    return _read(run, resolved, rows, by, predictions, on_progress)


def columns_of_files(
    run: RunFolder,
    paths: Sequence[str],
    by: Sequence[str],
    predictions: Mapping[str, Predictions],
    *,
    section: DataSection | None = None,
    on_progress: OnProgress = no_progress,
) -> dict[str, RawColumn]:
    """Read columns of files that a run has scored, for `slices`.

    Args:
        run: the folder of the run.
        paths: paths or globs of the files.
        by: names of columns, or globs of them.
        predictions: the run's predictions of these files by task.
        section: how to read the files. Default: as in training.
        on_progress: called as rows are read.

    Raises:
        DataError: there is no such column, or the files have changed since they were scored.
    """
    resolved, source = _opened(run, paths, section)
    return _read(run, resolved, RawRows(source, "test", NoCut()), by, predictions, on_progress)


def require_columns(
    run: RunFolder, paths: Sequence[str], by: Sequence[str], *, section: DataSection | None = None
) -> None:
    """Check that `columns_of_files` will find the columns, before the files are scored.

    Raises:
        DataError: there is no such column.
    """
    resolved, source = _opened(run, paths, section)
    _names(by, source, _left_out(resolved.config))


def _opened(run: RunFolder, paths: Sequence[str], section: DataSection | None) -> tuple[ResolvedConfig, Source]:
    resolved = load_resolved(run.config)
    return resolved, open_source(find_files(tuple(paths), Path(), "data"), section or resolved.config.data)


def columns_beside_scores(
    path: Path, by: Sequence[str], *, but: Sequence[str] = (), on_progress: OnProgress = no_progress
) -> dict[str, RawColumn]:
    """Read columns of a parquet file with scores, for `slices`.

    Args:
        path: the file.
        by: names of columns, or globs of them.
        but: columns that globs do not stand for: those of labels and scores.
        on_progress: called as rows are read.

    Raises:
        DataError: the file cannot be read, or there is no such column.
    """
    source = open_source([path], DataSection(format="parquet"))
    names = _names(by, source, but)
    chunks = RawRows(source, "test", NoCut()).chunks(names, on_progress)
    return _collected((chunk.frame for chunk in chunks), names, {})


def feature_columns(run: RunFolder) -> list[str]:
    """Return the raw columns that the features of a run read, each once: what a report slices by."""
    return input_columns(load_resolved(run.config))


def known_columns(resolved: ResolvedConfig, state: TransformState) -> dict[str, Known]:
    """Return what the features of a run say of the columns that they read, used or not."""
    found: dict[str, Known] = {}
    for name, section in resolved.config.features.items():
        column = section.column_of(name)
        if column is None or column in found:
            continue
        used = name in resolved.features and section.has_keys and section.input == "int64"
        owner = resolved.field(name).vocabulary if used else None
        vocabulary = None if owner is None else state.vocabularies.get(owner)
        if name in state.key_kinds or not section.has_keys:
            found[column] = Known(section, state.key_kinds.get(name, "int"), vocabulary)
    return found


def _read(
    run: RunFolder,
    resolved: ResolvedConfig,
    rows: RawRows,
    by: Sequence[str],
    predictions: Mapping[str, Predictions],
    on_progress: OnProgress,
) -> dict[str, RawColumn]:
    config = resolved.config
    names = _names(by, rows.source, _left_out(config))
    columns = list(dict.fromkeys([*target_columns(config), *names]))
    chunks = _checked(rows.chunks(columns, on_progress), config, predictions)
    return _collected(chunks, names, known_columns(resolved, TransformState.load(run.transform)))


def _left_out(config: Config) -> list[str]:
    """Return the columns that globs do not stand for."""
    return [*config.labels.values(), *([config.weight] if config.weight else [])]


def _names(by: Sequence[str], source: Source, but: Sequence[str]) -> list[str]:
    """Return the columns that names and globs stand for, each once."""
    found: list[str] = []
    for name in by:
        one = [name] if name in source.columns else []
        if is_glob(name) and not one:
            one = [column for column in source.columns if matches(column, name) and column not in but]
        if not one:
            raise no_column(str(source.files[0].path), name, list(source.columns))
        found += one
    return list(dict.fromkeys(found))


def _checked(
    chunks: Iterator[SplitChunk], config: Config, predictions: Mapping[str, Predictions]
) -> Iterator[pl.DataFrame]:
    """Yield the rows, if their labels, weights and groups are those of the predictions, row by row.

    Raises:
        DataError: they are not.
    """
    first = next(iter(predictions.values()))
    expected = [*(one.label for one in predictions.values()), first.weight, first.group]
    scored = [array for array in expected if array is not None]
    done, rows = 0, len(first.label)
    for chunk in chunks:
        stop = done + len(chunk.frame)
        found = targets(chunk.frame, config, chunk.location)
        for column, values, array in zip(_target_names(config), found, scored, strict=True):
            there = array[done:stop]
            differs = np.flatnonzero(values.to_numpy()[: len(there)] != there)
            if len(differs):
                place = f"{chunk.location.source}: column {column}: row {chunk.row(int(differs[0]))}"
                raise DataError(f"{place} is not row {done + differs[0] + 1:,} of {first.source}; {_CHANGED}")
        done = stop
        yield chunk.frame
    if done != rows:
        raise DataError(f"{first.source}: has {rows:,} predictions, the raw files have {done:,} rows; {_CHANGED}")


_CHANGED = (
    "the raw files have changed since they were scored: restore them, or name the files to evaluate, which scores them "
    "anew"
)


def _target_names(config: Config) -> list[str]:
    """Return the column of each target that `targets` reads, in their order."""
    return [*config.labels.values(), *(column for column in (config.weight, config.group) if column is not None)]


def _collected(
    frames: Iterator[pl.DataFrame], names: Sequence[str], known: Mapping[str, Known]
) -> dict[str, RawColumn]:
    """Keep what slices are made of, which of lists is their length."""
    parts: dict[str, list[RawColumn]] = {name: [] for name in names}
    for frame in frames:
        for name in names:
            parts[name].append(RawColumn.of(frame[name], known.get(name)))
    empty = pl.Series([], dtype=pl.Null)
    return {
        name: found[0].joined(found[1:]) if found else RawColumn.of(empty.alias(name)) for name, found in parts.items()
    }
