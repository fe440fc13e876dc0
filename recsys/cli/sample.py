"""The first rows of raw files, read as training reads all: what `recsys check` goes by before data is prepared."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import polars as pl
import pyarrow as pa

from recsys.config import Config, ResolvedConfig, TimeSplit
from recsys.data.classes import ClassCounts
from recsys.data.downsample import leave_out
from recsys.data.splits import Cut, CutShares, SplitName, make_cut, time_keys
from recsys.data.targets import target_columns, target_schema, targets
from recsys.errors import DataError
from recsys.features.coverage import Coverage, CoverageCounter, HistoryCounter, fields_with_vocabulary
from recsys.features.fingerprint import KeyKind
from recsys.features.fit import Fitting
from recsys.features.state import TransformState
from recsys.features.transform import canonicalize, encode, input_columns
from recsys.sources.find_files import find_files
from recsys.sources.location import RowLocation
from recsys.sources.source import RowChunk, Source, open_source

__all__ = ["Sample", "read_sample"]

SAMPLE_ROWS = 200_000
"""Rows of the training files that are read."""
OTHER_ROWS = 50_000
"""Rows that are read of the files of another split."""


class Sample(NamedTuple):
    """Facts that the first rows tell."""

    state: TransformState
    """The transform fitted on those of the training files."""
    whole: bool
    """There are no other rows in the training files."""
    coverage: dict[SplitName, dict[str, Coverage]]
    """Counts of unknown and missing values by split and feature."""
    classes: dict[SplitName, ClassCounts]
    """Counts of the classes, of the files whose rows have all been read."""
    left_out: int
    """Rows of the training files that `data.negative_rate` leaves out."""


class _Rows(NamedTuple):
    """Some raw rows, and the same as canonical ones."""

    raw: pl.DataFrame
    canonical: pl.DataFrame
    left_out: int = 0
    """Negatives that were among them."""


def read_sample(resolved: ResolvedConfig, source: Source, kinds: dict[str, KeyKind], data_dir: Path) -> Sample:
    """Fit the transform on the first training rows, and look at the first rows of each split with it.

    Args:
        resolved: the configuration.
        source: the training files.
        kinds: feature -> how its values become keys.
        data_dir: relative paths of the other splits start here.

    Raises:
        DataError: there are no rows, or a column breaks what the configuration promises.
    """
    unfitted = TransformState(key_kinds=kinds)
    split = resolved.config.data.split
    times = [split.column] if isinstance(split, TimeSplit) else []
    cut = make_cut(resolved, None, CutShares(0, 0), source)  # into nothing, but without some negatives
    rows = list(_first_rows(resolved, source, unfitted, SAMPLE_ROWS, times, cut))
    fitting = Fitting(resolved)
    for one in rows:
        fitting.add(one.canonical)
    if not fitting.num_rows:
        raise DataError(f"data.train: no training rows in {', '.join(str(file.path) for file in source.files)}")
    state = fitting.finish(kinds)
    coverage: dict[SplitName, dict[str, Coverage]] = {"train": _coverage(resolved, state, rows, is_training=True)}
    classes: dict[SplitName, ClassCounts] = {}
    left_out = sum(one.left_out for one in rows)
    if whole := fitting.num_rows + left_out < SAMPLE_ROWS:
        classes["train"] = _classes(resolved.config, rows)
    others: dict[SplitName, str | tuple[str, ...] | None]
    others = {"valid": resolved.config.data.valid, "test": resolved.config.data.test}
    for name, given in others.items():
        if given is not None:
            files = open_source(find_files(given, data_dir, f"data.{name}"), resolved.config.data)
            rows = list(_first_rows(resolved, files.after(source), state, OTHER_ROWS))
            coverage[name] = _coverage(resolved, state, rows)
            if sum(len(one.raw) for one in rows) < OTHER_ROWS:
                classes[name] = _classes(resolved.config, rows)
    return Sample(state, whole, coverage, classes, left_out)


def _first_rows(
    resolved: ResolvedConfig,
    source: Source,
    state: TransformState,
    num_rows: int,
    times: list[str] | None = None,
    cut: Cut | None = None,
) -> Iterator[_Rows]:
    """Yield at most `num_rows` rows, chunk by chunk, without those that `cut` leaves out.

    Raises:
        DataError: a column breaks what the configuration promises; the message has the first problem of each.
    """
    columns = input_columns(resolved) + target_columns(resolved.config) + (times or [])
    for chunk in source.chunks(list(dict.fromkeys(columns))):
        kept = chunk._replace(frame=chunk.frame[: num_rows - chunk.first_row])
        if problems := _problems(kept, resolved, state, times or []):
            raise DataError("\n".join(problems))
        raw, _ = leave_out(kept.frame, None if cut is None else cut.number(kept))
        yield _Rows(raw, canonicalize(raw, resolved, state, kept.location), len(kept.frame) - len(raw))
        if chunk.first_row + len(chunk.frame) >= num_rows:
            return


def _coverage(
    resolved: ResolvedConfig, state: TransformState, rows: list[_Rows], *, is_training: bool = False
) -> dict[str, Coverage]:
    counter = CoverageCounter(resolved, fields_with_vocabulary(resolved, state), state.key_kinds)
    histories = HistoryCounter(resolved, state)
    for one in rows:
        chunk = counter.start(one.raw, one.canonical)
        batch = encode(one.canonical, resolved, state, chunk)
        counter.add(chunk)
        if is_training:
            histories.add(batch)
    return histories.finish(counter.finish()) if is_training else counter.finish()


def _classes(config: Config, rows: list[_Rows]) -> ClassCounts:
    schema = pa.schema(target_schema(config))
    counts = ClassCounts(schema)
    for one in rows:
        counts.add(pa.record_batch(targets(one.raw, config, RowLocation()), schema=schema))
    return counts


def _problems(chunk: RowChunk, resolved: ResolvedConfig, state: TransformState, times: list[str]) -> list[str]:
    """Return the first problem of the targets, of the times to split by, and of each feature."""
    frame, location = chunk.frame, chunk.location
    parts = [replace(resolved, features={name: feature}) for name, feature in resolved.features.items()]
    checks: list[Callable[[], object]] = [partial(targets, frame, resolved.config, location)]
    checks += [partial(time_keys, frame[column], resolved, location) for column in times]
    checks += [partial(canonicalize, frame, part, state, location) for part in parts]
    problems = []
    for check in checks:
        try:
            check()
        except DataError as error:
            problems.append(str(error))
    return list(dict.fromkeys(problems))
