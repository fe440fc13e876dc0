from pathlib import Path

import polars as pl
import pytest

from recsys.config import DataSection
from recsys.sources import arrow_file
from recsys.sources.source import open_source


def test_a_large_record_batch_is_read_by_slices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "f.arrow"
    pl.DataFrame({"t": [f"text {i}" for i in range(1000)]}).write_ipc(path, record_batch_size=1000)
    converted: list[int] = []
    plain = arrow_file.to_frame
    monkeypatch.setattr(arrow_file, "to_frame", lambda table: (converted.append(len(table)), plain(table))[1])
    assert [len(frame) for frame in open_source([path], DataSection()).frames(["t"], 300)] == [300, 300, 300, 100]
    assert max(converted) <= 300
