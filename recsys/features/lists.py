"""List columns as values laid end to end and offsets: (V,) and (rows + 1,), as Arrow stores them."""

from typing import NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from recsys.config.feature_types import ListLimit
from recsys.features.fingerprint import KeyKind, Keys
from recsys.features.list_texts import split_texts
from recsys.features.missing import fill_missing
from recsys.features.values import BadColumn, BadValue, as_text, to_keys
from recsys.sources.column_types import column_type

__all__ = ["KeyLists", "cut_lists", "key_lists", "list_series", "to_key_lists", "unequal_lengths"]


class KeyLists(NamedTuple):
    """Row i holds `values[offsets[i] : offsets[i + 1]]`."""

    values: Keys
    offsets: Keys

    def first(self, max_len: int) -> "KeyLists":
        """Keep the first `max_len` entries of each row."""
        return self._kept(self.offsets[:-1], max_len)

    def last(self, max_len: int) -> "KeyLists":
        """Keep the last `max_len` entries of each row."""
        return self._kept(self.offsets[1:] - np.minimum(np.diff(self.offsets), max_len), max_len)

    def without(self, key: int) -> "KeyLists":
        """Drop the entries that are `key`."""
        is_kept = self.values != key
        kept_before = _offsets(is_kept.astype(np.int64))
        return KeyLists(self.values[is_kept], kept_before[self.offsets])

    def to_arrow(self, values: Keys | NDArray[np.int32]) -> pa.Array:
        """Return lists of these lengths that hold `values`, (V,) ids or keys, as an Arrow column."""
        return pa.ListArray.from_arrays(pa.array(self.offsets.astype(np.int32)), pa.array(values))

    def _kept(self, starts: Keys, max_len: int) -> "KeyLists":
        lengths = np.diff(self.offsets)
        if len(lengths) == 0 or lengths.max() <= max_len:
            return self
        offsets = _offsets(np.minimum(lengths, max_len))
        shift = np.repeat(starts - offsets[:-1], np.diff(offsets))
        return KeyLists(self.values[np.arange(offsets[-1]) + shift], offsets)


def to_key_lists(
    series: pl.Series, kind: KeyKind, separator: str | None, padding: int | str | None = None
) -> pl.Series:
    """Turn a list column, or a text column (see `split_texts`), into lists of keys, without the value `padding`.

    Returns:
        List(Int64) of the same length: null and "" are the empty list; a null entry is `NULL_KEY`.

    Raises:
        BadColumn: neither lists nor text, or lists of something that has no keys; or the padding has no key.
        BadValue: a text holds no entries, or an entry has no key of this kind; the position is its row.
    """
    series = _as_lists(series, separator)
    lengths = fill_missing(series.list.len(), 0)
    offsets = _offsets(lengths.to_numpy().astype(np.int64))
    flat = series.filter(lengths > 0).explode()
    try:
        keys = to_keys(flat, kind)
    except BadValue as error:
        row = int(np.searchsorted(offsets, error.position, side="right")) - 1
        raise BadValue(str(error), row) from error
    lists = KeyLists(keys.to_numpy(), offsets)
    if padding is not None:
        lists = lists.without(_padding_key(padding, kind))
    return list_series(lists).alias(series.name)


def _padding_key(padding: int | str, kind: KeyKind) -> int:
    try:
        return int(to_keys(pl.Series([str(padding)]), kind)[0])
    except BadValue as error:
        raise BadColumn(f"padding: {error}, since the column holds integers") from error


def _as_lists(series: pl.Series, separator: str | None) -> pl.Series:
    found = column_type(series.dtype)
    if found.is_list and found.can_be("ids"):
        return series.arr.to_list() if isinstance(series.dtype, pl.Array) else series
    if found.is_list:
        raise BadColumn(found.refusal("ids"))
    if found.is_untyped:
        return series.cast(pl.List(pl.Null))
    if found.family != "text":
        raise BadColumn(f"expected lists, the column holds {found.described()}")
    return split_texts(as_text(series), separator)


def list_series(lists: KeyLists) -> pl.Series:
    """Return the lists as a List(Int64) column, without a copy."""
    array = pa.LargeListArray.from_arrays(pa.array(lists.offsets), pa.array(lists.values))
    return pl.Series(pl.from_arrow(array))


def key_lists(series: pl.Series) -> KeyLists:
    """Return a List(Int64) column without nulls as values and offsets."""
    array = series.rechunk().to_arrow()
    offsets = array.offsets.to_numpy().astype(np.int64, copy=False)
    return KeyLists(array.values.to_numpy()[offsets[0] : offsets[-1]], offsets - offsets[0])


def cut_lists(series: pl.Series, limit: ListLimit) -> KeyLists:
    """Return what the model sees of a List(Int64) column without nulls: the first or last entries of each row."""
    lists = key_lists(series)
    return lists.last(limit.max_len) if limit.keeps_last else lists.first(limit.max_len)


def unequal_lengths(first: int, second: int) -> str:
    """Say what is wrong with sequences that have so many entries of the same events. Runs in TorchScript, too."""
    return f"sequences of one behaviour must be equally long, got {first} and {second} entries"


def _offsets(lengths: Keys) -> Keys:
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
