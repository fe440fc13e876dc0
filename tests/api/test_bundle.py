"""Scoring rows in memory."""

from pathlib import Path

import polars as pl
import pytest

import recsys
from recsys.errors import DataError
from tests.training.logs import clicks, run, write_log

pytestmark = pytest.mark.slow

ROWS = clicks(50, seed=7).drop("click", "buy", "weight")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> recsys.Bundle:
    log = write_log(tmp_path_factory.mktemp("log"))
    return recsys.Run(run(log, log / "run").folder).export(log / "bundle")


def test_it_says_what_it_reads_and_predicts(bundle: recsys.Bundle) -> None:
    assert sorted(bundle.columns) == sorted(ROWS.columns)
    assert bundle.tasks == ["label"]
    assert repr(bundle) == f"Bundle({str(bundle.path)!r})"


def test_a_frame_columns_and_rows_are_scored_alike(bundle: recsys.Bundle) -> None:
    scores = bundle.predict(ROWS)
    assert scores.schema == {"score": pl.Float64}
    assert scores.height == 50
    for other in (ROWS.to_arrow(), ROWS.lazy(), ROWS.to_dict(as_series=False), ROWS.to_dicts()):
        assert bundle.predict(other).equals(scores)
    one = bundle.predict(ROWS.row(3, named=True))["score"].item()
    assert one == pytest.approx(scores["score"][3], abs=1e-6)


def test_candidates_of_a_user_come_with_the_scores_of_their_rows_the_best_first(bundle: recsys.Bundle) -> None:
    user = {name: ROWS[name][3] for name in bundle.user_columns}
    candidates = ROWS.select(bundle.candidate_columns).with_row_index("row")
    ranked = bundle.rank(user, candidates)
    assert ranked.columns == [*candidates.columns, "score"]
    assert ranked["score"].is_sorted(descending=True)
    rows = candidates.with_columns(ROWS[[3] * 50].select(bundle.user_columns).get_columns())
    expected = bundle.predict(rows)["score"]
    assert (ranked.sort("row")["score"] - expected).abs().max() < 1e-6  # type: ignore[operator]
    assert bundle.rank(ROWS[3:4], candidates.to_dicts()).equals(ranked)


def test_what_cannot_be_ranked_is_refused(bundle: recsys.Bundle) -> None:
    with pytest.raises(DataError, match="user: must be one row, got 50"):
        bundle.rank(ROWS, ROWS)
    with pytest.raises(DataError, match="candidates: column 'score' has the name of a score"):
        bundle.rank(ROWS[:1], ROWS.with_columns(score=0))


def test_columns_can_be_kept_beside_the_scores(bundle: recsys.Bundle) -> None:
    assert bundle.predict(ROWS, keep="item").columns[0] == "item"
    scores = bundle.predict(ROWS, keep=["item", "user"])
    assert scores.columns == ["item", "user", "score"]
    assert scores["user"].equals(ROWS["user"])
    with pytest.raises(DataError, match="no column 'usr'; did you mean 'user'"):
        bundle.predict(ROWS, keep=["usr"])


def test_rows_of_unknown_values_draw_a_warning_where_somebody_listens(bundle: recsys.Bundle) -> None:
    said: list[str] = []
    other = ROWS.with_columns(item=pl.lit("no such item"))
    assert bundle.predict(other, log=said.append).equals(bundle.predict(other))
    assert [line for line in said if line.startswith("warning: rows: 100 % of the values of item are unknown")]
    shares = bundle.coverage(other).filter(pl.col("feature") == "item")
    assert shares.select("unknown", "missing").row(0) == (1.0, 0.0)


def test_a_missing_column_is_named(bundle: recsys.Bundle) -> None:
    with pytest.raises(DataError, match="price"):
        bundle.predict(ROWS.drop("price"))


def test_files_are_scored_into_a_file(bundle: recsys.Bundle, tmp_path: Path) -> None:
    ROWS.write_parquet(tmp_path / "rows.parquet")
    assert bundle.predict_files(tmp_path / "*.parquet", tmp_path / "out" / "scores.parquet") == 50
    assert pl.read_parquet(tmp_path / "out" / "scores.parquet").equals(bundle.predict(ROWS))


def test_a_folder_that_is_no_bundle_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is not a bundle"):
        recsys.Bundle(tmp_path)
