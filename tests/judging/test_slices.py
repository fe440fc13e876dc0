"""Tables of slices: their figures, and which of them is the worst."""

from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.testing import assert_allclose

from recsys.data.synthetic.log import make_chunk
from recsys.data.synthetic.shop import PLANTED_APP, Settings, Shop
from recsys.evaluation import auc, auc_interval, calibration, logloss
from recsys.evaluation.predictions import Predictions
from recsys.judging.slices import FIGURES, slices


def predictions(score: Any, label: Any, weight: Any = None) -> Predictions:
    return Predictions(np.asarray(label), np.asarray(score, float), weight, None, "test")


def example(rows: int = 3000, *, weighted: bool = False) -> tuple[Predictions, pl.Series]:
    rng = np.random.default_rng(2)
    country = rng.choice(["de", "fr", "us"], rows)
    score = rng.beta(2, 8, rows).round(2)
    label = (rng.random(rows) < score).astype(np.float32)
    return predictions(score, label, rng.random(rows) if weighted else None), pl.Series(country)


@pytest.mark.parametrize("weighted", [False, True])
def test_the_figures_of_a_slice_are_those_of_its_rows(weighted: bool) -> None:
    all_rows, country = example(weighted=weighted)
    table = slices(all_rows, {"country": country})
    assert table.columns == ["column", "by", "slice", *FIGURES]
    for row in table.iter_rows(named=True):
        inside = (country == row["slice"]).to_numpy()
        weight = None if all_rows.weight is None else all_rows.weight[inside]
        score, label = all_rows.score[inside], all_rows.label[inside]
        assert (row["rows"], row["positives"]) == (inside.sum(), label.sum())
        assert_allclose(row["auc"], auc(score, label, weight), rtol=1e-9)
        assert_allclose(row["logloss"], logloss(score, label, weight), rtol=1e-9)
        assert_allclose(row["calibration"], calibration(score, label, weight), rtol=1e-9)
        assert row["calibration_low"] < row["calibration"] < row["calibration_high"]
        if not weighted:
            assert_allclose((row["auc_low"], row["auc_high"]), auc_interval(score, label)[1:], rtol=1e-9)


def test_the_difference_to_all_rows_has_the_interval_of_a_bootstrap() -> None:
    all_rows, country = example(1500)
    found = slices(all_rows, {"country": country}).row(by_predicate=pl.col("slice") == "de", named=True)
    rng, differences = np.random.default_rng(0), []
    for _ in range(400):
        drawn = rng.integers(0, 1500, 1500)
        inside = drawn[(country == "de").to_numpy()[drawn]]
        of_slice, of_all = (auc(all_rows.score[rows], all_rows.label[rows]) for rows in (inside, drawn))
        differences.append(of_slice - of_all)
    width = found["auc_difference_high"] - found["auc_difference_low"]
    assert width == pytest.approx(2 * 1.96 * np.std(differences), rel=0.15)
    assert found["auc_difference"] == pytest.approx(np.mean(differences), abs=0.005)


def test_the_interval_of_a_calibration_holds_for_slices_of_a_few_clicks() -> None:
    """Of 2,000 slices with 4 clicks each, on average, about 95 % have the true calibration in their interval."""
    rng = np.random.default_rng(0)
    slice_of = np.repeat(np.arange(2000) % 40, 50)
    covered = []
    for _ in range(50):
        score = rng.beta(1, 12, 2000)
        label = rng.random(2000) < score
        table = slices(predictions(score, label), {"x": pl.Series([f"s{i}" for i in slice_of[:2000]])})
        low, high = (table[name] for name in ("calibration_low", "calibration_high"))
        covered += ((low <= 1) & (high.fill_null(np.inf) >= 1)).to_list()
    assert 0.93 < np.mean(covered) < 0.99


def test_no_slice_of_a_calibrated_model_is_called_off_however_many_there_are() -> None:
    """In 5 % of tables some slice may be; of 300 slices, most of them tiny, a normal interval calls some always."""
    rng, called = np.random.default_rng(3), 0
    slice_of = np.minimum(rng.zipf(1.3, 6000), 300) % 49
    for _ in range(60):
        score = rng.beta(1, 4, 6000)
        columns = {f"x{i}": pl.Series([f"s{j}" for j in np.roll(slice_of, 97 * i)]) for i in range(6)}
        table = slices(predictions(score, rng.random(6000) < score), columns)
        called += bool(table["miscalibration"][0])
    assert called <= 6


def test_a_slice_that_is_off_for_certain_comes_before_small_ones_that_look_worse() -> None:
    rng = np.random.default_rng(1)
    score = np.full(60_000, 0.1)
    name = np.where(np.arange(60_000) < 5000, "biased", [f"small-{i % 49}" for i in range(60_000)])
    name[6000:] = np.where(np.arange(54_000) < 1000, name[6000:], "large")
    label = rng.random(60_000) < np.where(name == "biased", 0.13, 0.1)
    table = slices(predictions(score, label), {"x": pl.Series(name)})
    first = table.row(0, named=True)
    assert first["slice"] == "biased"
    assert 0.05 < first["miscalibration"] < 0.3
    small = table.filter(pl.col("slice").str.starts_with("small"))
    off = (small["calibration"].log().abs()).max()
    assert isinstance(off, float)
    assert off > abs(np.log(first["calibration"]))
    assert table["miscalibration"].to_list()[1:] == [0] * (len(table) - 1)
    assert table["slice"][1] == "large"


def test_slices_without_clicks_or_with_one_row_have_the_figures_that_are_defined() -> None:
    score, label = [0.1, 0.2, 0.3, 0.4, 0.5], [0, 0, 1, 0, 1]
    table = slices(predictions(score, label), {"x": pl.Series(["a", "a", "b", "b", None])})
    by_name = {row["slice"]: row for row in table.iter_rows(named=True)}
    assert by_name["a"]["auc"] is None
    assert by_name["a"]["calibration"] is None
    assert by_name["a"]["calibration_high"] is None
    assert by_name["a"]["calibration_low"] == pytest.approx(0.3 / 1.96**2, rel=1e-3)
    assert by_name["b"]["auc"] == 0
    assert by_name["b"]["auc_low"] is None
    assert by_name["null"]["rows"] == 1


def test_no_columns_and_no_rows_make_an_empty_table() -> None:
    all_rows, country = example(100)
    assert slices(all_rows, {}).shape == (0, 3 + len(FIGURES))
    assert slices(predictions([], []), {"country": country.clear()}).shape == (0, 3 + len(FIGURES))


def test_a_column_of_other_rows_is_refused() -> None:
    all_rows, country = example(100)
    with pytest.raises(ValueError, match="column country: has 99 rows, there are 100 predictions"):
        slices(all_rows, {"country": country[:99]})


def test_the_planted_slice_of_the_shop_is_the_first_line_whatever_else_is_looked_at() -> None:
    """The scores know everything but the column `app`, which no feature reads."""
    rows = 60_000
    planted = make_chunk(Shop(rows=rows, seed=1, settings=Settings(planted_slice=True)), 0).table
    known = make_chunk(Shop(rows=rows, seed=1, settings=Settings()), 0)
    assert planted.drop_columns(["app", "clicked"]).equals(known.table.drop_columns("clicked"))
    frame = pl.DataFrame(planted)
    columns = {name: frame[name] for name in frame.columns if name != "clicked"}
    table = slices(predictions(known.probability, frame["clicked"].to_numpy()), columns)
    first = table.row(0, named=True)
    assert (first["column"], first["slice"]) == ("app", PLANTED_APP)
    assert first["calibration_high"] < 0.8
    aligned = {"clicked_items", "clicked_categories"}
    assert set(table["column"]) == set(columns) - aligned | {"clicked_items + clicked_categories"}
