"""Prepare raw files once: the name of the prepared folder is a key of everything that its content depends on."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa

from recsys.config.feature_types import FeatureSection
from recsys.config.kept import kept_file, locate_kept
from recsys.config.resolve import missing_columns, resolve
from recsys.config.resolved import ResolvedConfig
from recsys.config.run import Config, DataSection, FractionSplit, TimeSplit
from recsys.data.downsample import leave_out
from recsys.data.prepared import Prepared, PreparedSplit, SplitWriter, read_manifest, write_manifest
from recsys.data.raw_files import content_of, find_same_content, write_record
from recsys.data.splits import SPLITS, Cut, CutShares, NoCut, Numbered, SplitName, cut_shares, make_cut, split_seed
from recsys.data.targets import target_columns, target_schema, targets
from recsys.errors import DataError
from recsys.features.coverage import ChunkCounter, CoverageCounter, HistoryCounter, fields_with_vocabulary
from recsys.features.fingerprint import HASH_VERSION, KeyKind
from recsys.features.fit import Fitting, key_kinds
from recsys.features.parallel import in_order
from recsys.features.state import TransformState
from recsys.features.transform import arrow_type, canonicalize, encode, input_columns
from recsys.files import atomic_folder
from recsys.progress import OnProgress, no_progress
from recsys.sources.column_types import first_typed
from recsys.sources.find_files import find_files
from recsys.sources.source import FRAME_ROWS, RowChunk, Source, open_source

__all__ = ["find_key_kinds", "find_prepared", "prepare", "prepare_split"]

_VERSION = 2
"""Changes when the same inputs would be prepared differently."""


@dataclass(frozen=True)
class _Job:
    resolved: ResolvedConfig
    key_kinds: dict[str, KeyKind]
    sources: dict[SplitName, Source]
    files: dict[SplitName, tuple[Path, ...]]
    split: FractionSplit | TimeSplit | None
    """The way in which the training files are cut; None if they are not."""
    shares: CutShares


def prepare(config: Config, data_dir: Path, cache_dir: Path, on_progress: OnProgress = no_progress) -> Prepared:
    """Prepare all splits, or find them prepared already.

    Fitted on the training split only. The folder is written under another name and renamed when it is whole, so that
    a preparation that was killed, or one that runs at the same time, leaves nothing that would be taken for it.

    Args:
        config: its globs need not be expanded.
        data_dir: relative paths of `config.data` start here.
        cache_dir: prepared folders are kept here; it may be deleted at any time.
        on_progress: called as the work proceeds.

    Raises:
        DataError: a file is missing, damaged, or does not hold what the config promises.
        ConfigError: the config does not fit the columns of the data.
    """
    job = _job(config, data_dir)
    name = _key(job)
    prepared = _find(job, cache_dir)
    if prepared is None:
        folder = cache_dir / name
        with atomic_folder(folder, is_complete=lambda there: _read(job, there) is not None) as draft:
            _write(job, draft, on_progress)
            if _key(job) == name:  # else a file has changed meanwhile, and nobody knows what of it was read
                write_record(draft, _settings(job), job.files)
        prepared = _read(job, folder)
        assert prepared is not None, f"{folder} is not whole"
    return prepared


def find_prepared(config: Config, data_dir: Path, cache_dir: Path) -> Prepared | None:
    """Return what `prepare` would, if it is there already.

    Raises:
        DataError, ConfigError: as `prepare`, as far as it shows without reading rows.
    """
    job = _job(config, data_dir)
    return _find(job, cache_dir)


def find_key_kinds(config: Config, data_dir: Path) -> dict[str, KeyKind]:
    """Return how the values of each feature become keys, by the types of its column in the files of all splits.

    Raises:
        DataError, ConfigError: as `prepare`, as far as it shows without reading rows.
    """
    return _job(config, data_dir).key_kinds


def _find(job: _Job, cache_dir: Path) -> Prepared | None:
    """Read the prepared folder of the same files: by their paths, sizes and times, or else by their content."""
    prepared = _read(job, cache_dir / _key(job))
    if prepared is None:
        folder = find_same_content(cache_dir, _settings(job), job.files)
        prepared = None if folder is None else _read(job, folder)
    return prepared


def _read(job: _Job, folder: Path) -> Prepared | None:
    """Return what is prepared; None if it is not there, not whole, damaged, or of another version."""
    splits = read_manifest(folder)
    if splits is None:
        return None
    try:
        return Prepared(job.resolved, TransformState.load(folder / "transform"), splits, folder, content_of(folder))
    except DataError:
        return None


def prepare_split(
    resolved: ResolvedConfig,
    state: TransformState,
    paths: Sequence[Path],
    data: DataSection,
    out: Path,
    on_progress: OnProgress = no_progress,
) -> PreparedSplit:
    """Prepare further files with a fitted state, into the new folder `out`; nothing is cached.

    Raises:
        DataError: a file is missing, damaged, or does not hold what the configuration promises.
    """
    source = open_source(paths, data)
    return _encode(resolved, state, source, NoCut(), {"test": out}, "test", on_progress)["test"]


def _job(config: Config, data_dir: Path) -> _Job:
    config = locate_kept(config)
    data = config.data
    given: dict[SplitName, str | tuple[str, ...] | None] = {"train": data.train, "valid": data.valid, "test": data.test}
    if data.train is None:
        raise DataError("data.train: no training files are given")
    files = {name: find_files(paths, data_dir, f"data.{name}") for name, paths in given.items() if paths is not None}
    sources = {name: open_source(paths, data) for name, paths in files.items()}
    sources = {name: source if name == "train" else source.after(sources["train"]) for name, source in sources.items()}
    resolved = resolve(config, list(sources["train"].columns))
    missing = missing_columns(resolved, list(sources["train"].columns))
    if missing:
        raise DataError("\n".join(f"{column} ({files['train'][0]})" for column in missing))
    if gone := list(_gone_files(resolved)):
        raise DataError("\n".join(gone))
    split, shares = cut_shares(data)
    kinds = key_kinds(resolved, first_typed([source.columns for source in sources.values()]))
    return _Job(resolved, kinds, sources, files, split, shares)


def _gone_files(resolved: ResolvedConfig) -> Iterator[str]:
    """Yield a message for each file of kept values that is not there, and whose content nobody knows."""
    for name, feature in resolved.features.items():
        kept = kept_file(feature)
        if kept is not None and kept.checksum is None:
            yield f"{resolved.config.where('features', name, 'kept')}: no such file: {kept.file}"


def _key(job: _Job) -> str:
    """Return the name of the prepared folder."""
    return _hash(
        _facts(job) | {"files": {name: [_identity(path) for path in paths] for name, paths in job.files.items()}}
    )


def _settings(job: _Job) -> str:
    """Return a key of all that the content of the prepared folder depends on, but the raw files."""
    return _hash(_facts(job))


def _facts(job: _Job) -> dict[str, Any]:
    config = job.resolved.config
    return {
        "versions": [_VERSION, HASH_VERSION],
        "features": [(name, _feature_facts(feature)) for name, feature in job.resolved.features.items()],
        "targets": [config.labels, config.weight, config.group],
        "data": _data_facts(config.data),
        "split": job.split and job.split.model_dump(mode="json", exclude={"seed"}),
        "seed": split_seed(config, job.split) if isinstance(job.split, FractionSplit) else None,
        **_folder_keys(job),
        **_clock(job),
    }


def _data_facts(data: DataSection) -> dict[str, Any]:
    """Return the keys of the data but the split; one that former versions did not have only where it is given."""
    facts = data.model_dump(mode="json", exclude={"split"})
    return {key: value for key, value in facts.items() if key != "negative_rate" or value is not None}


def _feature_facts(feature: FeatureSection) -> dict[str, Any]:
    """Return what the ids of a feature depend on: of a file of kept values, its content."""
    facts = feature.model_dump(mode="json", exclude={"use", "kept"})
    kept = kept_file(feature)
    return facts if kept is None else facts | {"kept": kept.checksum}


def _clock(job: _Job) -> dict[str, Any]:
    """Return the feature that tells how the column to split by is read, if it is there for nothing else."""
    column = job.split.column if isinstance(job.split, TimeSplit) else None
    features = job.resolved.config.features.items()
    read = {n: _feature_facts(f) for n, f in features if not f.use and f.reads_time and f.column_of(n) == column}
    return {"clock": read} if read else {}


def _hash(facts: dict[str, Any]) -> str:
    return hashlib.blake2b(json.dumps(facts).encode(), digest_size=12).hexdigest()


def _folder_keys(job: _Job) -> dict[str, Any]:
    """Return the keys of folders, nothing where there are none: they are values of rows though in no file."""
    keys = {name: [list(file.keys.items()) for file in source.files] for name, source in job.sources.items()}
    return {"folder_keys": keys} if any(map(any, keys.values())) else {}


def _identity(path: Path) -> tuple[str, int, int]:
    status = path.stat()
    return str(path.absolute()), status.st_size, status.st_mtime_ns


def _write(job: _Job, folder: Path, on_progress: OnProgress) -> None:
    cut = make_cut(job.resolved, job.split, job.shares, job.sources["train"], on_progress)
    state = _fit(job, cut, on_progress)
    state.save(folder / "transform")
    cut_names = [name for name, share in zip(SPLITS, (1.0, *job.shares), strict=True) if share > 0]
    splits: dict[SplitName, PreparedSplit] = {}
    for name, source in job.sources.items():
        outs = {part: folder / part for part in (cut_names if name == "train" else [name])}
        splits |= _encode(job.resolved, state, source, cut if name == "train" else NoCut(), outs, name, on_progress)
    write_manifest(folder, {name: splits[name] for name in SPLITS if name in splits})


def _fit(job: _Job, cut: Cut, on_progress: OnProgress) -> TransformState:
    resolved, source = job.resolved, job.sources["train"]
    unfitted = TransformState(key_kinds=job.key_kinds)

    def fitted(chunk: RowChunk) -> tuple[Fitting, int]:
        targets(chunk.frame, resolved.config, chunk.location)  # a wrong label is to be found now and not after fitting
        frame = canonicalize(chunk.frame, resolved, unfitted, chunk.location)
        numbers = cut.number(chunk)
        fitting = Fitting(resolved)
        fitting.add(frame if numbers is None else frame.filter(pl.Series(numbers == 0)))
        return fitting, chunk.first_row + len(chunk.frame)

    total = Fitting(resolved)
    for fitting, done in in_order(fitted, source.chunks(_columns(resolved, cut))):
        total.merge(fitting)
        on_progress("fit", done, source.num_rows())
    if total.num_rows == 0:
        raise DataError(f"data.train: no training rows in {', '.join(map(str, job.files['train']))}")
    return total.finish(unfitted.key_kinds)


def _encode(
    resolved: ResolvedConfig,
    state: TransformState,
    source: Source,
    cut: Cut,
    outs: dict[SplitName, Path],
    stage: str,
    on_progress: OnProgress,
) -> dict[SplitName, PreparedSplit]:
    """Write the rows of one source to the folders of the splits they belong to."""
    fields = [pa.field(field.name, arrow_type(field), nullable=False) for field in resolved.fields]
    schema = pa.schema(fields + target_schema(resolved.config))
    known = fields_with_vocabulary(resolved, state)
    coverage, histories = (
        CoverageCounter(resolved, known, state.key_kinds, len(SPLITS)),
        HistoryCounter(resolved, state),
    )

    def encoded(chunk: RowChunk) -> _Encoded:
        raw, numbers = leave_out(chunk.frame, cut.number(chunk))
        canonical = canonicalize(raw, resolved, state, chunk.location)
        is_counted = coverage.counts(chunk.first_row, FRAME_ROWS)
        counter = coverage.start(raw, canonical, numbers) if is_counted else None
        features = encode(canonical, resolved, state, counter)
        columns = features.columns + targets(raw, resolved.config, chunk.location)  # fitting has checked all
        batches = _partition(pa.record_batch(columns, schema=schema), numbers, list(outs))
        return _Encoded(batches, counter, chunk.first_row + len(chunk.frame), len(chunk.frame) - len(raw))

    writers = {name: SplitWriter(out, schema) for name, out in outs.items()}
    left_out = 0
    for batches, counter, done, num_left_out in in_order(encoded, source.chunks(_columns(resolved, cut))):
        if counter is not None:
            coverage.add(counter)
        for name, batch in batches.items():
            writers[name].write(batch)
        if "train" in batches:
            histories.add(batches["train"])
        left_out += num_left_out
        on_progress(stage, done, source.num_rows())
    found = {name: coverage.finish(0 if isinstance(cut, NoCut) else SPLITS.index(name)) for name in outs}
    if "train" in found:
        found["train"] = histories.finish(found["train"])
    splits = {name: writer.close(found[name]) for name, writer in writers.items()}
    if "train" in splits:
        splits["train"] = replace(splits["train"], left_out=left_out)
    return splits


class _Encoded(NamedTuple):
    """A chunk of rows as they are written."""

    batches: dict[SplitName, pa.RecordBatch]
    counter: ChunkCounter | None
    """What was counted of their features; None if they were not counted."""
    done: int
    """Number of the row after the last one."""
    left_out: int
    """Rows that go to no split."""


def _partition(
    batch: pa.RecordBatch, numbers: Numbered | None, names: list[SplitName]
) -> dict[SplitName, pa.RecordBatch]:
    if numbers is None:
        return {names[0]: batch}
    return {name: batch.take(pa.array(np.flatnonzero(numbers == SPLITS.index(name)))) for name in names}


def _columns(resolved: ResolvedConfig, cut: Cut) -> list[str]:
    return list(dict.fromkeys([*input_columns(resolved), *target_columns(resolved.config), *cut.columns]))
