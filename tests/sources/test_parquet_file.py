from pathlib import Path

import polars as pl
import pytest

from recsys.errors import DataError
from tests.sources.files import read


def test_damaged_pages_are_named(tmp_path: Path) -> None:
    path = tmp_path / "day.parquet"
    pl.DataFrame({"a": range(100_000)}).write_parquet(path)
    content = bytearray(path.read_bytes())
    content[100:60_000] = bytes(59_900)
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"day.parquet: cannot be read as parquet: "):
        read(path)
