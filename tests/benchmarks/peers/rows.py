"""Rows as peers read them: ids by column, from the files and the features of a configuration of recsys."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

import recsys


@dataclass(frozen=True)
class Field:
    """A column of ids: 0 pads, 1 to num_ids - 2 are values of the training rows, the last id is all others."""

    name: str
    num_ids: int
    max_len: int | None = None
    """Entries of a list; None for one id a row."""
    history_of: str | None = None
    """The field whose ids and table a history shares."""


@dataclass(frozen=True)
class PeerRows:
    """Training and validation rows: (N,) of each field, (N, max_len) padded at the end of each list."""

    fields: list[Field]
    splits: dict[str, dict[str, np.ndarray]]
    labels: dict[str, np.ndarray]

    @property
    def single(self) -> list[Field]:
        return [field for field in self.fields if field.max_len is None]

    @property
    def lists(self) -> list[Field]:
        return [field for field in self.fields if field.max_len is not None]


def read_rows(config_path: Path, data_dir: Path) -> PeerRows:
    """Read the features of types id, ids and sequence, which is all that the benchmark's sets have."""
    config = recsys.load_config(config_path)
    frames = {split: pl.read_parquet(data_dir / str(getattr(config.data, split))) for split in ("train", "valid")}
    fields: dict[str, Field] = {}
    splits: dict[str, dict[str, np.ndarray]] = {split: {} for split in frames}
    codes: dict[str, pl.DataFrame] = {}
    for name, feature in config.features.items():
        owner = getattr(feature, "of", name)
        max_len = None if feature.type == "id" else feature.max_len
        if owner == name:
            column = frames["train"][name]
            values = (column if max_len is None else column.explode()).drop_nulls().unique().sort()
            codes[name] = pl.DataFrame({"value": values, "id": np.arange(1, len(values) + 1)})
        num_ids = codes[owner].height + 2
        history_of = owner if owner != name else None
        fields[name] = Field(name, num_ids, max_len, history_of)
        for split, frame in frames.items():
            if max_len is None:
                splits[split][name] = _encode(frame[name], codes[owner], num_ids - 1)
            else:
                kept = frame[name].list.tail(max_len) if history_of else frame[name].list.head(max_len)
                splits[split][name] = _encode_lists(kept, codes[owner], num_ids - 1, max_len)
    labels = {split: frame[str(config.label)].to_numpy().astype(np.float32) for split, frame in frames.items()}
    return PeerRows(list(fields.values()), splits, labels)


def _encode(values: pl.Series, codes: pl.DataFrame, unknown: int) -> np.ndarray:
    return values.replace_strict(codes["value"], codes["id"], default=unknown, return_dtype=pl.Int64).to_numpy()


def _encode_lists(lists: pl.Series, codes: pl.DataFrame, unknown: int, max_len: int) -> np.ndarray:
    lengths = lists.list.len().fill_null(0).to_numpy()
    out = np.zeros((len(lists), max_len), np.int64)
    ids = _encode(lists.filter(lists.list.len() > 0).explode(), codes, unknown)
    out[np.arange(max_len) < lengths[:, None]] = ids
    return out
