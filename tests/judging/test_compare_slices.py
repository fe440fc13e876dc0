from pathlib import Path

import numpy as np
import polars as pl
import pytest

import recsys
from recsys.errors import DataError
from tests.judging.judged_models import log_of, write_scores

ROWS = 4000
COUNTRY = np.array(["de", "fr"])[np.arange(ROWS) % 2]


@pytest.fixture(autouse=True)
def _files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write the scores of two models, of which `new` is better in France and as good in Germany."""
    monkeypatch.chdir(tmp_path)
    logit, _ = log_of(ROWS)
    noise = np.random.default_rng(5).normal(size=(2, ROWS))
    for name, place, in_france in (("old", 0, 2.0), ("new", 1, 0.1)):
        blurred = logit + noise[place] * np.where(COUNTRY == "fr", in_france, 0.5)
        frame = pl.read_parquet(write_scores(Path(f"{name}.parquet"), noise=1, rows=ROWS))
        changes = {"score": 1 / (1 + np.exp(-blurred)), "country": COUNTRY, "day": np.arange(ROWS) // 1000}
        frame.with_columns(**{key: pl.Series(values) for key, values in changes.items()}).write_parquet(
            f"{name}.parquet"
        )


def test_the_slice_that_makes_the_difference_comes_first() -> None:
    found = recsys.compare("old.parquet", "new.parquet", by=["country"])
    (table,) = found.slices
    assert table["slice"].to_list() == ["fr", "de"]
    assert table["auc_verdict"].to_list() == ["better", "undecided"]
    lines = str(found).splitlines()
    assert lines[0].startswith("new.parquet is better than old.parquet")
    (head,) = [line for line in lines if "slices, by AUC" in line]
    assert "new.parquet - old.parquet on 2 slices, by AUC: better on 1, worse on 0" in head
    assert lines[-2].split()[:3] == ["country", "value", "fr"]


def test_the_metric_that_decides_is_counted_where_slices_have_it() -> None:
    assert "2 slices, by logloss" in str(recsys.compare("old.parquet", "new.parquet", by=["country"], metric="logloss"))
    assert "2 slices, by AUC" in str(recsys.compare("old.parquet", "new.parquet", by=["country"], metric="gauc"))


def test_a_glob_stands_for_all_columns_but_label_score_and_weight() -> None:
    (table,) = recsys.compare("old.parquet", "new.parquet", by=["*"]).slices
    assert set(table["column"]) == {"country", "day", "group"}


def test_facts_have_all_slices() -> None:
    facts = recsys.compare("old.parquet", "new.parquet", by=["country"]).facts()
    assert [(row["first"], row["slice"]) for row in facts["slices"]] == [("new.parquet", "fr"), ("new.parquet", "de")]
    assert "slices" not in recsys.compare("old.parquet", "new.parquet").facts()


def test_labels_may_be_stored_in_other_precisions() -> None:
    soft = np.linspace(0.1, 0.9, ROWS)
    for name, dtype in (("old", pl.Float64), ("new", pl.Float32)):
        rows = pl.read_parquet(f"{name}.parquet").with_columns(label=pl.Series(soft).cast(dtype))
        rows.write_parquet(f"{name}.parquet")
    (table,) = recsys.compare("old.parquet", "new.parquet", by=["country"]).slices
    assert len(table) == 2


def test_a_column_that_is_not_there_is_refused() -> None:
    with pytest.raises(DataError, match="county"):
        recsys.compare("old.parquet", "new.parquet", by=["county"])


def test_of_several_tasks_each_has_its_slices() -> None:
    for name in ("old.parquet", "new.parquet"):
        frame = pl.read_parquet(name)
        tasks = {f"{column}.{task}": frame[column] for column in ("label", "score") for task in ("click", "buy")}
        frame.select("country", **tasks).write_parquet(name)
    (table,) = recsys.compare("old.parquet", "new.parquet", by=["country"]).slices
    assert table.group_by("task").len().sort("task").rows() == [("buy", 2), ("click", 2)]
    assert table.columns[0] == "task"
