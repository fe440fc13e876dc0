from pathlib import Path

import polars as pl
import pytest

from recsys.errors import DataError
from recsys.serving import Scorer
from tests.serving.bundles import ROWS

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("out", "message"),
    [
        ("rows.parquet", "rows.parquet: is one of the files to read, and would be overwritten"),
        ("folder/../rows.parquet", "is one of the files to read, and would be overwritten"),
        ("folder", "folder: must be a parquet file to write, but is a folder"),
        ("scores.csv", "scores.csv: is written as parquet, so its name must not end in .csv"),
    ],
)
def test_scores_do_not_go_where_they_do_harm(bundle: Path, tmp_path: Path, out: str, message: str) -> None:
    (tmp_path / "folder").mkdir()
    ROWS.write_parquet(tmp_path / "rows.parquet")
    with pytest.raises(DataError, match=message):
        Scorer(bundle).score_files([tmp_path / "rows.parquet"], tmp_path / out)
    assert pl.read_parquet(tmp_path / "rows.parquet").equals(ROWS)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "rows.parquet"]


def test_a_failure_late_in_a_file_leaves_the_former_scores(bundle: Path, tmp_path: Path) -> None:
    out = tmp_path / "scores.parquet"
    out.write_text("former")
    ROWS.write_parquet(tmp_path / "a.parquet")
    ROWS.with_columns(user=pl.lit("ann")).write_parquet(tmp_path / "b.parquet")
    with pytest.raises(DataError, match=r"b\.parquet"):
        Scorer(bundle).score_files([tmp_path / "a.parquet", tmp_path / "b.parquet"], out)
    assert out.read_text() == "former"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.parquet", "b.parquet", "scores.parquet"]
