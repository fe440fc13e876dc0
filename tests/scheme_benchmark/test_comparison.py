from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from recsys.evaluation import auc_difference
from tests.scheme_benchmark.fake_results import cells, comparison, finished_comparison


def test_the_interval_of_a_difference_is_delongs_paired_one_where_the_seeds_agree(tmp_path: Path) -> None:
    found = finished_comparison(tmp_path)
    label = [0, 0, 1, 1, 0, 1] * 100
    scores = [[0.1 * (i % 7) for i in range(600)], [0.1 * (i % 5) for i in range(600)]]
    for variant, score in zip(("full", "hash"), scores, strict=True):
        for cell in cells()[variant]:
            path = tmp_path / "cells" / cell.name / "run" / "predictions" / "test.parquet"
            pl.DataFrame({"label": label, "score": score}).write_parquet(path)
            found.results[cell.name] = replace(found.results[cell.name], auc=0.7)
    lines = {line.scheme: line for line in [*found.summaries(None), *found.summaries("0.1")]}
    difference = found.difference(lines["hash"], lines["full"])
    expected = auc_difference(scores[1], scores[0], label)
    assert difference is not None
    assert difference.half_width == pytest.approx((expected.high - expected.low) / 2)


def test_weighted_rows_have_an_interval_too(tmp_path: Path) -> None:
    found = finished_comparison(tmp_path)
    lines = {line.scheme: line for line in [*found.summaries(None), *found.summaries("0.1")]}
    before = found.difference(lines["hash"], lines["full"])
    for path in tmp_path.rglob("test.parquet"):
        pl.read_parquet(path).with_columns(weight=1.0).write_parquet(path)
    weighted = comparison(tmp_path, found.results).difference(lines["hash"], lines["full"])
    assert before is not None
    assert weighted is not None
    assert weighted.half_width == pytest.approx(before.half_width)


def test_schemes_whose_seeds_are_not_all_done_are_compared_by_what_there_is(tmp_path: Path) -> None:
    found = finished_comparison(tmp_path)
    del found.results[cells()["hash"][0].name]
    lines = {line.scheme: line for line in [*found.summaries(None), *found.summaries("0.1")]}
    difference = found.difference(lines["hash"], lines["full"])
    assert difference is not None
    assert difference.value == pytest.approx(0.7002 - 0.7501)
    assert found.num_rows(lines["hash"]) == 2000
