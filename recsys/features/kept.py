"""Files of the values that are ids of their own: keys, and for people the values that the keys stand for.

Keys and not ids, which another fit would give otherwise.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet

from recsys.config.feature_types import FeatureSection
from recsys.config.feature_types.kept import KeptFile
from recsys.config.kept import kept_checksum
from recsys.errors import DataError
from recsys.features.fingerprint import HASH, NULL_KEY, KeyKind, Keys
from recsys.sources.raw_file import readable

__all__ = ["kept_kind", "read_kept", "write_kept"]

KEY = "key"
VALUE = "value"
_KIND = b"recsys.keys"
_HASH = b"recsys.hash"
_MEANINGS = {"int": "integers", "text": "hashes of texts"}


def kept_kind(name: str, feature: FeatureSection, kinds: Mapping[str, KeyKind]) -> str:
    """Return how the values of a feature become keys, which a file of its keys states too.

    Args:
        name: name of the feature.
        feature: its section.
        kinds: how the values of each feature with a column become keys.

    >>> from recsys.config import CrossFeature
    >>> kept_kind("both", CrossFeature(type="cross", of=("user", "city")), {"user": "int", "city": "text"})
    'int+text'
    """
    return "+".join(kinds[read] for read in feature.inputs(name))


def write_kept(path: Path, keys: Keys, kind: str, values: Sequence[Any] | None = None) -> None:
    """Write a file of keys; the same keys give the same bytes.

    Args:
        path: the new file.
        keys: (N,), in the order in which people should read them.
        kind: the result of `kept_kind`.
        values: (N,), what the keys stand for, as far as it is known. Integers are their own keys.
    """
    columns = {KEY: pa.array(keys, pa.int64())}
    if kind == "int":
        columns[VALUE] = pa.array(keys, pa.int64(), mask=keys == NULL_KEY)
    elif values is not None:
        columns[VALUE] = pa.array(values, pa.string())
    table = pa.table(columns).replace_schema_metadata({_KIND: kind.encode(), _HASH: HASH.encode()})
    path.parent.mkdir(parents=True, exist_ok=True)
    pyarrow.parquet.write_table(table, path)


def read_kept(kept: KeptFile, kind: str, *, where: str) -> Keys:
    """Return the keys of a file, each once, ascending.

    Args:
        kept: the file.
        kind: how the values of the feature become keys.
        where: the key of the configuration that names the file, for messages.

    Raises:
        DataError: it is not there, is another one than before, is damaged, or holds other keys.
    """
    path = Path(kept.file)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(
            f"{where}: {path}: cannot be read ({error.strerror}), and the vocabulary is to be fitted"
        ) from error
    if kept.checksum not in (None, kept_checksum(content)):
        raise DataError(f"{where}: {path}: has changed since the configuration was read, or since the run began")
    try:
        with readable(path, "parquet"):
            table = pyarrow.parquet.read_table(pa.BufferReader(content))
        return _keys(table, kind)
    except DataError as error:
        raise DataError(f"{where}: {error}") from error
    except ValueError as error:
        raise DataError(f"{where}: {path}: {error}") from error


def _keys(table: pa.Table, kind: str) -> Keys:
    facts = table.schema.metadata or {}
    found, version = facts.get(_KIND, kind.encode()).decode(), facts.get(_HASH, HASH.encode()).decode()
    if KEY not in table.column_names:
        raise ValueError(
            f"has no column {KEY!r} with the keys, but {', '.join(map(repr, table.column_names)) or 'none'}"
        )
    column = table[KEY]
    if column.type != pa.int64():
        raise ValueError(f"the column {KEY!r} must hold 64-bit integers, got {column.type}")
    if column.null_count:
        raise ValueError(f"the column {KEY!r} must not hold null; the key of a missing value is {NULL_KEY}")
    if found != kind:
        raise ValueError(f"holds keys that are {_meaning(found)}, but those of the feature are {_meaning(kind)} here")
    if version != HASH:
        raise ValueError(f"holds keys made by {version}, but they are made by {HASH} now; make the file anew")
    return np.unique(column.to_numpy())


def _meaning(kind: str) -> str:
    parts = [_MEANINGS.get(part, part) for part in kind.split("+")]
    return parts[0] if len(parts) == 1 else f"combinations of {' and '.join(parts)}"
