from pathlib import Path

import pytest

from recsys.errors import DataError
from tests.sources.files import FRAME, WRITERS, read


@pytest.mark.parametrize("form", ["parquet", "arrow"])
@pytest.mark.parametrize("keep", [0.0, 0.5, 0.99])
def test_a_truncated_file_is_named(tmp_path: Path, form: str, keep: float) -> None:
    path = tmp_path / f"day.{form}"
    WRITERS[form](FRAME, path)
    content = path.read_bytes()
    path.write_bytes(content[: int(keep * len(content))])
    with pytest.raises(DataError, match=f"day.{form}: cannot be read as {form}: "):
        read(path)
