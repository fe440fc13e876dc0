"""Counts of what a model cannot read of each column: unknown and missing values and cut lists.

Dimension key: B rows of a chunk, F features, S splits, V entries of all lists of one feature.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from recsys.config.feature_types import Field
from recsys.config.resolved import ResolvedConfig
from recsys.features.fingerprint import NULL_KEY, KeyKind
from recsys.features.lists import key_lists
from recsys.features.state import TransformState

__all__ = ["ChunkCounter", "Coverage", "CoverageCounter", "HistoryCounter", "fields_with_vocabulary", "flat_ids"]

MOST_ENTRIES = 2**20
"""Entries of each history, the first of the training rows, that are held against the values of its item."""

CHUNKS_COUNTED = 4
"""Chunks of rows, the first ones, that are all counted."""
COUNT_EVERY = 8
"""One of so many later chunks is counted: of millions of rows, an eighth tells the shares at an eighth of the cost."""

_Flags = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True, slots=True)
class Coverage:
    """Counts of one feature in some rows."""

    rows: int
    """Rows that were counted; of many millions, an eighth."""
    missing: int
    """Rows without a value: null, NaN, or a list without entries."""
    truncated: int = 0
    """Rows whose list was cut."""
    values: int = 0
    """Values that were looked up in a vocabulary: one of each row that has one, or the entries of lists that are kept.
    A null in a list is a value."""
    unknown: int = 0
    """Number of these that the vocabulary does not hold."""
    entries: int = 0
    """Entries of a history that were held against the column of the item that it is a history of."""
    matching: int = 0
    """Number of these that are values of that column."""

    def shares(self) -> dict[str, float | None]:
        """Return the shares of unknown and missing values, cut lists and matching entries; None of nothing."""
        parts = {
            "unknown": (self.unknown, self.values),
            "missing": (self.missing, self.rows),
            "truncated": (self.truncated, self.rows),
            "matching": (self.matching, self.entries),
        }
        return {name: part / whole if whole else None for name, (part, whole) in parts.items()}

    def share(self, count: str) -> float:
        """Return one of the shares; 0 of nothing."""
        return self.shares()[count] or 0.0


class CoverageCounter:
    """Counts chunks of rows, for all splits that the rows of a chunk may go to.

    Args:
        resolved: its features.
        fields: names of the fields that have a vocabulary.
        key_kinds: feature -> how its values become keys.
        num_splits: number of splits.
    """

    def __init__(
        self, resolved: ResolvedConfig, fields: Collection[str], key_kinds: Mapping[str, KeyKind], num_splits: int = 1
    ) -> None:
        self.features = resolved.features
        self.fields = frozenset(fields)
        self.key_kinds = key_kinds
        self.num_splits = num_splits
        self._total_FS5 = {name: np.zeros((num_splits, 5), np.int64) for name in self.features}

    @staticmethod
    def counts(first_row: int, chunk_rows: int) -> bool:
        """Return whether a chunk that begins with this row is counted.

        Args:
            first_row: number of its first row among all of its source.
            chunk_rows: rows of a chunk.
        """
        number = first_row // chunk_rows
        return number < CHUNKS_COUNTED or number % COUNT_EVERY == 0

    def start(self, raw: pl.DataFrame, frame: pl.DataFrame, numbers: NDArray[np.uint8] | None = None) -> "ChunkCounter":
        """Return a counter of one chunk; several threads may have one at a time.

        Args:
            raw: raw rows.
            frame: the same rows as canonical ones.
            numbers: (B,) split of each row; None if there is one.
        """
        return ChunkCounter(self, raw, frame, _BySplit(numbers, self.num_splits, len(frame)))

    def add(self, chunk: "ChunkCounter") -> None:
        """Add the counts of a chunk to those before."""
        for name, counts_5S in chunk.counts.items():
            self._total_FS5[name] += np.transpose(counts_5S)

    def finish(self, split: int = 0) -> dict[str, Coverage]:
        """Return what was counted of a split by feature; {} if it has no rows."""
        found = {}
        for name, total_S5 in self._total_FS5.items():
            rows, missing, truncated, values, unknown = total_S5[split].tolist()
            if rows:
                found[name] = Coverage(rows=rows, missing=missing, truncated=truncated, values=values, unknown=unknown)
        return found


class ChunkCounter:
    """Counts the values of one chunk, field by field.

    Call it when a field has just been encoded: its ids are then in the cache of the processor.

    Attributes:
        counts: feature -> (5, S): rows, missing, truncated, values, unknown.
    """

    def __init__(self, of: CoverageCounter, raw: pl.DataFrame, frame: pl.DataFrame, by_split: "_BySplit") -> None:
        self._of = of
        self._raw = raw
        self._frame = frame
        self._by_split = by_split
        self.counts: dict[str, list[list[int]]] = {}

    def count(self, field: Field, ids: NDArray[Any] | None) -> None:
        """Count the feature of a field, if no field of it was counted before.

        Args:
            field: any field.
            ids: (B,) ids, or (V,) those of the entries that are kept; not looked at if they have no vocabulary.
        """
        if field.feature not in self.counts:
            looked_up = ids if field.name in self._of.fields else None
            count = self._count_lists if field.is_list else self._count_values
            self.counts[field.feature] = count(field.feature, looked_up)

    def _count_values(self, name: str, ids: NDArray[Any] | None) -> list[list[int]]:
        by_split, is_missing = self._by_split, self._missing(name)
        missing = by_split.flags(is_missing)
        values = by_split.none if ids is None else by_split.difference(by_split.rows, missing)
        return [by_split.rows, missing, by_split.none, values, by_split.zeros(ids, but=is_missing)]

    def _count_lists(self, name: str, ids: NDArray[Any] | None) -> list[list[int]]:
        by_split, limit = self._by_split, self._of.features[name].list_limit()
        lengths = np.diff(key_lists(self._frame[name]).offsets)
        kept = lengths if limit is None else np.minimum(lengths, limit.max_len)
        missing, truncated = by_split.flags(lengths == 0), by_split.flags(lengths > kept)
        values = by_split.none if ids is None else by_split.sums(kept)
        return [by_split.rows, missing, truncated, values, by_split.zeros(ids, lengths=kept)]

    def _missing(self, name: str) -> _Flags | None:
        """Return which rows have no value, (B,); None if all have one."""
        feature = self._of.features[name]
        column = feature.column_of(name)
        if feature.input is None or column is None:  # made of other features
            return None
        raw = self._raw[column]
        if feature.has_keys and _only_nulls_are_missing(raw.dtype, self._of.key_kinds.get(name)):
            return raw.is_null().to_numpy() if raw.null_count() else None
        values: NDArray[Any] = self._frame[name].to_numpy()
        flags = np.isnan(values) if feature.input == "float64" else np.equal(values, NULL_KEY)
        return flags if flags.any() else None


class _BySplit:
    """Counts of rows of one chunk, one for each split that they go to."""

    def __init__(self, numbers: NDArray[np.uint8] | None, num_splits: int, num_rows: int) -> None:
        self.none = [0] * num_splits
        self._later = [] if numbers is None else [numbers == split for split in range(1, num_splits)]
        self.rows = self._with_first(num_rows, [np.count_nonzero(mask) for mask in self._later])

    def flags(self, flags: _Flags | None, lengths: NDArray[np.int64] | None = None) -> list[int]:
        """Count the rows, or the entries of lists of these lengths, that have a flag; None if there are none."""
        if flags is None:
            return self.none
        masks = self._later if lengths is None else [np.repeat(mask, lengths) for mask in self._later]
        return self._with_first(np.count_nonzero(flags), [np.count_nonzero(flags & mask) for mask in masks])

    def zeros(
        self, ids: NDArray[Any] | None, *, but: _Flags | None = None, lengths: NDArray[np.int64] | None = None
    ) -> list[int]:
        """Count the ids that are 0, of rows without the flag `but`, or of the entries of lists of these lengths."""
        num_zeros = 0 if ids is None else len(ids) - np.count_nonzero(ids)
        if ids is None or num_zeros == 0:
            return self.none
        if but is None and not self._later:
            return self._with_first(num_zeros, [])
        zeros = np.equal(ids, 0)
        return self.flags(zeros if but is None else zeros & ~but, lengths)

    def sums(self, values: NDArray[np.int64]) -> list[int]:
        """Add up a number of each row."""
        return self._with_first(values.sum(), [values[mask].sum() for mask in self._later])

    def difference(self, of: list[int], less: list[int]) -> list[int]:
        """Subtract counts."""
        return [one - other for one, other in zip(of, less, strict=True)]

    def _with_first(self, total: Any, later: list[Any]) -> list[int]:
        """Return the counts of all splits, of which the first has what the later ones leave."""
        counts = [int(total) - sum(map(int, later)), *map(int, later)]
        return counts + self.none[len(counts) :]


def _only_nulls_are_missing(dtype: pl.DataType, kind: KeyKind | None) -> bool:
    """Return whether the rows without a key are the null ones, which a column knows without being read."""
    return dtype.is_integer() or dtype == pl.Boolean or (kind == "text" and not dtype.is_float())


class HistoryCounter:
    """Counts how many entries of histories are values of the item that they are histories of, in the training rows.

    A history shares the vocabulary of its item and adds its own entries to it, so that none of them is unknown however
    they are written. Listed vocabularies are left out: what is not in the list is unknown.

    Args:
        resolved: its features.
        state: the fitted vocabularies.
    """

    def __init__(self, resolved: ResolvedConfig, state: TransformState) -> None:
        known = fields_with_vocabulary(resolved, state)
        items = {
            field.name: field.target for field in resolved.fields if field.target is not None and field.name in known
        }
        self._items = {name: of for name, of in items.items() if resolved.features[of].vocabulary_form() == "learnt"}
        self._seen = {item: np.zeros(state.vocabularies[item].size, np.bool_) for item in self._items.values()}
        self._held: dict[str, list[NDArray[Any]]] = {name: [] for name in self._items}

    def add(self, batch: pa.RecordBatch) -> None:
        """Take encoded training rows."""
        for item, seen in self._seen.items():
            seen[flat_ids(batch.column(item))] = True
        for name, held in self._held.items():
            left = MOST_ENTRIES - sum(map(len, held))
            if left > 0:
                held.append(flat_ids(batch.column(name))[:left].copy())

    def finish(self, coverage: dict[str, Coverage]) -> dict[str, Coverage]:
        """Return the coverage of the training rows with the counts of histories in it."""
        found = {}
        for name, item in self._items.items():
            if name in coverage:
                seen = self._seen[item]
                seen[0] = False  # unknown
                matching = sum(int(np.count_nonzero(seen[held])) for held in self._held[name])
                entries = sum(map(len, self._held[name]))
                found[name] = replace(coverage[name], entries=entries, matching=matching)
        return coverage | found


def fields_with_vocabulary(resolved: ResolvedConfig, state: TransformState) -> list[str]:
    """Return the names of the fields whose ids are those of a learnt or listed vocabulary."""
    return [field.name for field in resolved.fields if not field.open and field.vocabulary in state.vocabularies]


def flat_ids(column: pa.Array) -> NDArray[Any]:
    """Return the ids of an encoded column: (rows,), or (V,) those of all lists end to end."""
    ids: NDArray[Any] = (column.flatten() if pa.types.is_list(column.type) else column).to_numpy(zero_copy_only=True)
    return ids
