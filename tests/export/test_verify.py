import shutil
from pathlib import Path

import pyarrow as pa
from pyarrow import parquet

from recsys.export.verify import compare


def test_scores_that_are_no_numbers_differ_by_more_than_any_tolerance(bundle: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(bundle, tmp_path / "copy")
    golden = parquet.read_table(copy / "golden.parquet").to_pydict()
    golden["score.click"][5] = float("nan")
    parquet.write_table(pa.table(golden), copy / "golden.parquet")
    found = compare(copy)
    assert (found["difference"], found["row"], found["output"]) == (float("inf"), 5, "score.click")
