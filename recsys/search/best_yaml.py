"""Write what a search found into the user's own file: widths and blocks of tables, kept values, features left out."""

import os.path
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from recsys.config import Config, DatetimeFeature, ResolvedTable, resolve
from recsys.config.changes import given_values
from recsys.config.document import parse_yaml
from recsys.config.edit import REMOVED, edit_yaml
from recsys.config.globs import is_glob, matches
from recsys.config.limits import DIMS
from recsys.config.load import load_text
from recsys.config.problems import KeyPath
from recsys.data.prepared import Prepared
from recsys.features.fingerprint import Keys
from recsys.features.kept import kept_kind, write_kept
from recsys.features.values import to_keys
from recsys.files import atomic_path, write_atomic
from recsys.search.shape import TableShape

__all__ = ["PRUNABLE", "FoundChanges", "KeptKeys", "shape_changes", "write_yaml"]

NOTE = "found by recsys search"
_FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
PRUNABLE = ("id", "ids", "sequence", "cross")
"""Types of the features whose values have keys, by which rows can be kept."""


class KeptKeys(NamedTuple):
    """The content of a file of kept values."""

    keys: Keys
    kind: str
    """Way in which values become keys."""


@dataclass(frozen=True)
class FoundChanges:
    """Keys that the user's configuration is to have otherwise, and the files that they name."""

    keys: dict[KeyPath, Any] = field(default_factory=dict)
    """Values by the paths of their keys. Files of kept values have absolute paths."""
    files: dict[Path, KeptKeys] = field(default_factory=dict)
    """The files that the keys name."""


def shape_changes(config: Config, prepared: Prepared, shapes: Mapping[str, TableShape], *, kept: Path) -> FoundChanges:
    """Return how the user's configuration says what the shapes leave of its full tables.

    A vocabulary whose rows change gets a table of its own; a table that holds several keeps the others, and is changed
    itself if all become alike. One width is the table's `dim` where the tower takes tables of several, else rows are
    padded; several widths are blocks.
    Rows are pruned by key in a file, in a listed vocabulary by a shorter list; buckets and parts of times keep theirs.
    What is dropped has `use: false`, and so have the histories of it. A feature that others need which stay, or the
    last one, keeps a narrow row for its unknown id instead.

    Args:
        config: the user's configuration, its globs not expanded.
        prepared: the data, and the configuration resolved for them.
        shapes: by vocabulary; those that are not named stay as they are.
        kept: folder of the files of kept values.
    """
    writer = _Writer(config, prepared, dict(shapes), kept)
    writer.drop_features()
    writer.prune_rows()
    writer.close_globs()
    writer.shape_tables()
    return writer.found


def write_yaml(
    config_path: Path,
    changes: Mapping[KeyPath, Any],
    target: Path,
    *,
    files: Mapping[Path, KeptKeys] | None = None,
    columns: Sequence[str] | None = None,
) -> None:
    """Write the user's file with changes to another place, after the files that it names.

    Comments, order and form of all other keys stay; relative paths are rewritten for the new place. Where tables
    change, the section `search` goes, since it speaks of those that were. The file is loaded before it appears under
    its name.

    Args:
        config_path: the user's file.
        changes: values by the paths of their keys.
        target: the new file.
        files: files of kept values, which `changes` name by their paths.
        columns: the columns of the data, to expand globs against; None to leave that out.

    Raises:
        ConfigError: the changed file is not valid, or cannot be changed in place.
    """
    text = config_path.read_bytes().decode("utf-8-sig")
    answered = _without_search(text, config_path) if changes else {}
    text = edit_yaml(text, _moved_paths(text, config_path, target), name=str(config_path))
    ours = {str(path): os.path.relpath(path, target.absolute().parent) for path in files or {}}
    named = {key: ours.get(value, value) if isinstance(value, str) else value for key, value in changes.items()}
    named |= answered
    for path, content in (files or {}).items():
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(path) as temporary:
            write_kept(temporary, content.keys, content.kind)
    edited = edit_yaml(text, _nested(named, ours), name=str(config_path), note=NOTE)
    target.parent.mkdir(parents=True, exist_ok=True)  # first: paths of includes lead through it
    loaded = load_text(edited, target)
    if columns is not None:
        resolve(loaded, columns)
    write_atomic(target, edited)


def _without_search(text: str, config_path: Path) -> dict[KeyPath, Any]:
    """Return the change by which a file has no section `search`, also where it includes one."""
    if load_text(text, config_path).search is None:
        return {}
    root = parse_yaml(text, str(config_path)).root
    is_own = root is not None and "search" in root.plain()
    return {("search",): REMOVED if is_own else None}


def _nested(changes: Mapping[KeyPath, Any], ours: Mapping[str, str]) -> dict[KeyPath, Any]:
    """Return the changes with files of kept values by their relative paths, those of whole features included."""
    return {
        key: {**value, "kept": ours[value["kept"]]} if isinstance(value, dict) and value.get("kept") in ours else value
        for key, value in changes.items()
    }


def _moved_paths(text: str, config_path: Path, target: Path) -> dict[KeyPath, Any]:
    """Return the relative paths that a file states, as they are from another place."""
    root = parse_yaml(text, str(config_path)).root
    values: Any = {} if root is None else root.plain()
    found: dict[KeyPath, Any] = {}
    include = values.get("include", ())
    for key, value in [(("include",), include)] if isinstance(include, str) else _numbered(include):
        found[key] = value
    features = values.get("features")
    for name, feature in features.items() if isinstance(features, dict) else ():
        if isinstance(feature, dict) and isinstance(feature.get("kept"), str):
            found["features", name, "kept"] = feature["kept"]
    start, end = config_path.absolute().parent, target.absolute().parent
    return {key: os.path.relpath(start / path, end) for key, path in found.items() if not Path(path).is_absolute()}


def _numbered(entries: Iterable[Any]) -> list[tuple[KeyPath, Any]]:
    return [(("include", index), entry) for index, entry in enumerate(entries)]


class _Writer:
    """The changes found so far."""

    def __init__(self, config: Config, prepared: Prepared, shapes: dict[str, TableShape], kept: Path) -> None:
        self.config = config
        self.resolved = prepared.resolved
        self.state = prepared.state
        tables = {name: table for table in self.resolved.tables for name in self.resolved.vocabularies_in(table)}
        self.shapes = {name: shape for name, shape in shapes.items() if _changes(shape, tables[name])}
        self.kept = kept.absolute()
        self.found = FoundChanges()
        self.off: set[str] = set()
        """Vocabularies whose fields are left out."""

    # --- features -----------------------------------------------------------------------------------------------------

    def drop_features(self) -> None:
        """Leave out the features of which nothing is left, as far as no other needs them."""
        features = self.resolved.features
        dropped = {name for name, shape in self.shapes.items() if shape.is_dropped}
        parts = self._parts_left(dropped)
        gone = {self.resolved.field(name).feature for name in dropped} - parts.keys()
        gone |= {name for name, feature in features.items() if feature.owner(name) in gone}
        gone -= self.resolved.still_needed(gone)
        for name in features:
            if name in gone:
                self._set_feature(name, "use", False)
            elif name in parts:
                self._set_feature(name, "parts", parts[name])
        for name in dropped:
            feature = self.resolved.field(name).feature
            if feature in gone or name.removeprefix(f"{feature}.") not in parts.get(feature, (name,)):
                self.off.add(name)
        for name in dropped - self.off:
            self.shapes[name] = _stub(self.shapes[name])

    def _parts_left(self, dropped: set[str]) -> dict[str, tuple[str, ...]]:
        """Return what is left of each time of which some parts are dropped, none of them named elsewhere."""
        stated = {entry for table in self.config.tables.values() for entry in table.features}
        stated |= {by} if (by := self.config.calibration.by) is not None else set()
        found: dict[str, tuple[str, ...]] = {}
        for name, section in self.resolved.features.items():
            parts = section.parts if isinstance(section, DatetimeFeature) else ()
            left = tuple(part for part in parts if f"{name}.{part}" not in dropped)
            if left and len(left) < len(parts):
                is_stated = any(f"{name}.{part}" in stated for part in parts if part not in left)
                found[name] = parts if is_stated else left
        return found

    def prune_rows(self) -> None:
        """Name the values whose rows are kept."""
        for index, (name, shape) in enumerate(self.shapes.items()):
            feature = self.resolved.field(name).feature
            section = self.resolved.features[feature]
            if shape.kept is None or not shape.prunes_rows or name in self.off or section.type not in PRUNABLE:
                continue
            vocabulary = self.state.vocabularies[name]
            kind = kept_kind(feature, section, self.state.key_kinds)
            listed = getattr(section, "vocabulary", "learnt")
            if isinstance(listed, tuple):
                keys = to_keys(pl.Series(map(str, listed), dtype=pl.String), self.state.key_kinds[feature]).to_numpy()
                stay = shape.kept[vocabulary.encode(keys)]
                left = tuple(value for value, stays in zip(listed, stay, strict=True) if stays)
                self._set_feature(feature, "vocabulary", left)
                continue
            by_id = vocabulary.keys[np.argsort(vocabulary.ids)]
            file = self.kept / f"{name if _FILE_NAME.fullmatch(name) else f'feature-{index}'}.parquet"
            self.found.files[file] = KeptKeys(by_id[shape.kept[1:]], kind)
            self._set_feature(feature, "kept", str(file))

    def _set_feature(self, name: str, key: str, value: Any) -> None:
        """Set a key of a feature, which gets a section of its own if a glob stands for it."""
        keys = self.found.keys
        if name in self.config.features:
            keys["features", name, key] = value
            return
        glob = self._glob_of(name)
        own = keys.setdefault(("features", name), dict(given_values(self.config)["features"][glob]))
        own[key] = value

    def _glob_of(self, name: str) -> str:
        """Return the glob that stands for a feature; nothing if it has a section."""
        globs = (glob for glob in self.config.features if is_glob(glob) and matches(name, glob))
        return "" if name in self.config.features else next(globs)

    def close_globs(self) -> None:
        """Leave out globs whose features all have sections of their own, which are not needed if all are left out."""
        keys = self.found.keys
        for glob in filter(is_glob, self.config.features):
            members = [name for name in self.resolved.features if self._glob_of(name) == glob]
            if members and all(("features", name) in keys for name in members):
                keys["features", glob, "use"] = False
                if all(keys["features", name].get("use") is False for name in members):
                    for name in members:
                        del keys["features", name]

    # --- tables -------------------------------------------------------------------------------------------------------

    def shape_tables(self) -> None:
        """Give each vocabulary whose rows change a table of its own, unless all of a table change alike."""
        for table in self.resolved.tables:
            owners = self.resolved.vocabularies_in(table)
            changed = [name for name in owners if name not in self.off and self._section(name, table)]
            left = [name for name in owners if name not in changed and name not in self.off]
            if changed and table.name in self.config.tables and not left:
                if self._set_alike(changed, table):
                    continue
                self._set_table(table.name, changed[0], table)
                changed = changed[1:]
            elif changed and table.name in self.config.tables:
                self._take_out(table, set(changed))
            for name in changed:
                self._set_table(self._free_name(name), name, table)

    def _set_table(self, name: str, vocabulary: str, table: ResolvedTable) -> None:
        kept = table.spec.model_dump(include={"sharding", "placement", "precision"}, exclude_defaults=True)
        for key, value in {"features": (vocabulary,), **self._section(vocabulary, table), **kept}.items():
            self.found.keys["tables", name, key] = value

    def _set_alike(self, changed: Sequence[str], table: ResolvedTable) -> bool:
        """Change the keys of a table of several vocabularies if all of them get the same; return whether they do."""
        first, *others = (self._section(name, table) for name in changed)
        if not others or "scheme" in first or any(section != first for section in others):
            return False
        for key, value in first.items():
            self.found.keys["tables", table.name, key] = value
        return True

    def _section(self, name: str, table: ResolvedTable) -> dict[str, Any]:
        """Return the keys by which a table has the widths and the precision of a shape; none if it has them."""
        shape = self.shapes.get(name)
        if shape is None:
            return {}
        widths = {} if all(len(block.columns) == table.dim for block in shape.blocks) else self._widths(shape)
        if not widths and shape.precision == table.spec.served_precision:
            return {}
        if not widths and table.spec.dim is not None:
            widths = {"dim": table.dim}
        is_said = shape.precision == table.spec.precision
        return widths if is_said else {**widths, "serving_precision": shape.precision}

    def _widths(self, shape: TableShape) -> dict[str, Any]:
        width = len(shape.blocks[0].columns)
        if len(shape.blocks) == 1 and width in DIMS and not self.config.model.needs_equal_dims:
            return {"dim": width}
        return shape.section()

    def _take_out(self, table: ResolvedTable, changed: set[str]) -> None:
        """Remove vocabularies from the list of a table's features; a glob may go on to stand for others."""
        entries = self.config.tables[table.name].features
        owners = self.resolved.vocabularies_in(table)
        left = [owner for owner in owners if owner not in changed]
        features: list[str] = []
        for entry in entries:
            held = [owner for owner in owners if self.resolved.field(owner).feature == entry]
            if is_glob(entry):
                features += [entry] * any(matches(self.resolved.field(one).feature, entry) for one in left)
            elif entry not in changed:  # a time keeps the parts that stay
                features += [one for one in held if one in left] if changed.intersection(held) else [entry]
        self.found.keys["tables", table.name, "features"] = tuple(features)

    def _free_name(self, vocabulary: str) -> str:
        """Return the name of a vocabulary, or one like it that no table has."""
        others = {table.name for table in self.resolved.tables} - {vocabulary} | set(self.config.tables)
        others |= {str(key[1]) for key in self.found.keys if key[0] == "tables"}
        taken = {name.replace(".", "/") for name in others}
        names = [vocabulary, *(f"{vocabulary}_{number}" for number in range(2, len(taken) + 3))]
        return next(name for name in names if name.replace(".", "/") not in taken)


def _changes(shape: TableShape, table: ResolvedTable) -> bool:
    """Return whether a shape is something else than what a table holds of its vocabulary."""
    return not shape.is_whole or shape.dim != table.dim or shape.precision != table.spec.served_precision


def _stub(shape: TableShape) -> TableShape:
    """Return what stands for a feature that has to stay though nothing is left of it: a narrow row, of id 0."""
    width = min(DIMS[0], shape.dim)
    sizes = (1, shape.num_ids - 1) if shape.num_ids > 1 else (1,)
    columns: tuple[tuple[int, ...], ...] = (tuple(range(width)), ())
    return TableShape(
        vocabulary=shape.vocabulary,
        dim=shape.dim,
        block_sizes=sizes,
        columns=columns[: len(sizes)],
        precision=shape.precision,
    )
