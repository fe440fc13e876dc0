from pathlib import Path

import numpy as np
import polars as pl
import pytest

from recsys.errors import ConfigError, DataError
from recsys.evaluation.predictions import ScoreColumns
from recsys.evaluation.verdict import holm
from recsys.judging.compare_runs import Comparison, compare_contenders
from recsys.judging.contenders import read_contenders
from tests.judging.judged_models import write_scores


def compare(folder: Path, metric: str = "auc", **noises: float) -> Comparison:
    names = [
        str(write_scores(folder / name, noise=noise, seed=place + 10))
        for place, (name, noise) in enumerate(noises.items())
    ]
    return compare_contenders(read_contenders(names, split="test", columns=ScoreColumns()), metric=metric)


def word(found: Comparison, first: str, second: str) -> str:
    names = {Path(one.name).name: one.name for one in found.contenders}
    return found.pair(names[first], names[second]).verdicts[found.metric].word


def test_the_better_model_comes_first_whatever_the_order(tmp_path: Path) -> None:
    for noises in ({"bad": 1.5, "good": 0.1}, {"good": 0.1, "bad": 1.5}):
        found = compare(tmp_path, **noises)
        assert Path(found.best.name).name == "good"
        assert (found.verdict.word, found.verdict.difference.value > 0) == ("better", True)


def test_where_lower_is_better_the_lower_one_comes_first(tmp_path: Path) -> None:
    found = compare(tmp_path, metric="logloss", bad=1.5, good=0.1)
    assert Path(found.best.name).name == "good"
    assert (found.verdict.word, found.verdict.difference.value < 0) == ("better", True)


def test_models_of_equal_quality_cannot_be_told_apart(tmp_path: Path) -> None:
    found = compare(tmp_path, one=0.5, other=0.5)
    assert found.verdict.word == "undecided"
    assert found.verdict.rows_needed is not None
    assert found.verdict.rows_needed > found.num_rows == 2000


def test_of_many_models_all_pairs_are_judged_with_corrected_p_values(tmp_path: Path) -> None:
    found = compare(tmp_path, bad=1.5, one=0.5, other=0.5)
    assert [word(found, *pair) for pair in (("one", "bad"), ("other", "bad"))] == ["better"] * 2
    assert word(found, "one", "other") == "undecided"
    verdicts = [pair.verdicts["auc"] for pair in found.pairs]
    assert [one.p_value for one in verdicts] == pytest.approx(holm([one.difference.p_value for one in verdicts]))
    assert {found.pairs[0].first, found.pairs[1].first} == {found.best.name}


def test_a_metric_that_cannot_decide_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"metric: must be one of auc, logloss, .*, got 'aucc'; did you mean"):
        compare(tmp_path, metric="aucc", a=1, b=0.5)
    names = [str(write_scores(tmp_path / name, noise=1, groups=False)) for name in "ab"]
    with pytest.raises(ConfigError, match="since not all have groups, got 'gauc'"):
        compare_contenders(read_contenders(names, split="test", columns=ScoreColumns()), metric="gauc")


def test_scores_that_are_no_probabilities_are_refused(tmp_path: Path) -> None:
    names = [write_scores(tmp_path / name, noise=1) for name in "ab"]
    pl.read_parquet(names[1]).with_columns(pl.col("score") * 10).write_parquet(names[1])
    with pytest.raises(DataError, match=r"b: score.* must be between 0 and 1"):
        compare_contenders(read_contenders([*map(str, names)], split="test", columns=ScoreColumns()))


def test_rows_of_one_class_settle_nothing(tmp_path: Path) -> None:
    names = [write_scores(tmp_path / name, noise=1) for name in "ab"]
    for name in names:
        pl.read_parquet(name).with_columns(label=pl.lit(1.0)).write_parquet(name)
    found = compare_contenders(read_contenders([*map(str, names)], split="test", columns=ScoreColumns()))
    assert found.verdict.word == "undecided"
    assert np.isnan(found.verdict.difference.value)
