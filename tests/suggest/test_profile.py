from pathlib import Path

import polars as pl

from recsys.config import DataSection
from recsys.suggest.profile import profile


def test_each_column_is_described(tmp_path: Path) -> None:
    frame = pl.DataFrame(
        {
            "user": ["b", "a", None, "b"],
            "price": [1.5, float("nan"), None, -2.0],
            "tags": [["x", "y"], [], None, ["x"]],
            "empty": [None, None, None, None],
        }
    )
    frame.write_parquet(tmp_path / "f.parquet")
    user, price, tags, empty = profile(tmp_path / "f.parquet", DataSection())
    assert (user.name, user.dtype, user.num_rows, user.num_nulls, user.num_distinct) == ("user", "String", 4, 1, 2)
    assert (user.numeric, user.is_list, user.sample) == (False, False, ("b", "a"))
    assert (price.numeric, price.minimum, price.maximum, price.num_nulls) == (True, -2.0, 1.5, 1)
    assert (tags.is_list, tags.mean_length, tags.p95_length, tags.num_distinct) == (True, 0.75, 2, 2)
    assert tags.sample == ("x", "y")
    assert (empty.num_nulls, empty.numeric, empty.sample) == (4, False, ())


def test_csv_text_that_is_a_number_throughout_is_numeric(tmp_path: Path) -> None:
    (tmp_path / "f.csv").write_text("a,b\n1,1\n,x\n10,3\n")
    a, b = profile(tmp_path / "f.csv", DataSection())
    assert (a.numeric, a.minimum, a.maximum, a.dtype) == (True, 1.0, 10.0, "String")
    assert (b.numeric, b.minimum) == (False, None)


def test_only_the_first_rows_are_looked_at(tmp_path: Path) -> None:
    pl.DataFrame({"a": range(100)}).write_parquet(tmp_path / "f.parquet")
    (a,) = profile(tmp_path / "f.parquet", DataSection(), max_rows=10)
    assert (a.num_rows, a.maximum) == (10, 9.0)


def test_a_file_without_rows_has_profiles(tmp_path: Path) -> None:
    (tmp_path / "f.csv").write_text("a\n")
    (a,) = profile(tmp_path / "f.csv", DataSection())
    assert (a.num_rows, a.num_distinct, a.sample, a.numeric) == (0, 0, (), False)
