import json
from pathlib import Path

import polars as pl
import pytest

from recsys.evaluation.predictions import ScoreColumns
from recsys.files import to_json
from recsys.judging.compare_runs import Comparison, compare_contenders
from recsys.judging.compare_text import as_facts, describe, headline
from recsys.judging.contenders import read_contenders
from tests.judging.judged_models import write_scores


@pytest.fixture(autouse=True)
def _in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def compare(*names: str) -> Comparison:
    return compare_contenders(read_contenders(names, split="test", columns=ScoreColumns()))


def write(**noises: float) -> list[str]:
    return [
        str(write_scores(Path(name), noise=noise, seed=place + 10))
        for place, (name, noise) in enumerate(noises.items())
    ]


def lines(found: Comparison) -> list[str]:
    return describe(found, "of the files").splitlines()


def test_the_first_line_is_the_verdict_on_two_models() -> None:
    first, *_ = lines(compare(*write(old=1.5, new=0.1)))
    assert first.startswith("new is better than old: AUC 0.")
    assert " against 0." in first
    assert "(95 % interval +0." in first


def test_models_that_are_close_are_said_to_be_so_and_what_would_tell() -> None:
    first, second, *_ = lines(compare(*write(a=0.5, b=0.5)))
    assert "cannot be told apart: AUC 0." in first
    assert second.startswith("If the difference is what it seems, about ")
    assert second.endswith(" rows would tell it.")


def test_of_many_the_best_is_named_and_what_may_be_as_good() -> None:
    write(bad=1.5, a=0.5, b=0.5, worst=3)
    assert headline(compare("bad", "a", "worst")).startswith("a is the best of 3: better than bad and worst (AUC 0.")
    close = headline(compare("bad", "a", "b"))
    assert "looks best of 3, but cannot be told apart from" in close
    assert "; it is better than bad (AUC" in close
    assert "p values are corrected for 3 pairs (Holm); the verdicts go by them." in lines(compare("bad", "a", "b"))


def test_a_metric_that_says_the_opposite_is_said_at_once() -> None:
    write(honest=0.5, sharp=0.1)
    pl.read_parquet("sharp").with_columns(pl.col("score") * 0.2).write_parquet("sharp")
    first, second, *_ = lines(compare("honest", "sharp"))
    assert first.startswith("sharp is better than honest: AUC")
    assert second.startswith("By logloss, honest is better than sharp: +")


def test_undefined_figures_are_said_to_be_so() -> None:
    for name in write(a=0.5, b=0.5):
        pl.read_parquet(name).with_columns(label=pl.lit(1.0)).write_parquet(name)
    assert lines(compare("a", "b"))[0] == "a and b cannot be told apart: AUC is not defined on these rows"


def test_one_seed_is_said_not_to_be_all() -> None:
    assert "not for other seeds" in lines(compare(*write(a=0.5, b=0.1)))[-1]


def test_several_seeds_show_their_spread_and_single_ones_borrow_it() -> None:
    for model, noise in (("a", 0.5), ("b", 0.1)):
        for seed in range(3):
            write_scores(Path(f"{model}-seed-{seed}"), noise=noise, seed=seed)
    both = "\n".join(lines(compare("a-seed-*", "b-seed-*")))
    assert "(seeds: 0.00" in both
    assert "Intervals hold for other rows and for other seeds" in both
    mixed = "\n".join(lines(compare("a-seed-*", "b-seed-0")))
    assert "b-seed-0, of one seed, is taken to vary with it as the model that it is compared with." in mixed
    alone = lines(compare("a-seed-0", "a-seed-1"))
    assert alone[-1] == "a-seed-N are seeds of one model: 'a-seed-*' in quotes compares over its seeds."


def test_the_table_names_each_metric_that_is_shown() -> None:
    found = lines(compare(*write(old=1.5, new=0.1)))
    (row,) = [line for line in found if line.startswith("new - old")]
    assert row.split()[3] == "AUC"
    assert row.endswith("better")


def test_facts_are_json_with_all_figures_and_verdicts() -> None:
    found = json.loads(to_json(as_facts(compare(*write(old=1.5, new=0.1)))))
    assert (found["best"], found["is_told_apart"], found["rows"]) == ("new", True, 2000)
    assert [model["name"] for model in found["models"]] == ["new", "old"]
    metrics = found["pairs"][0]["metrics"]
    assert metrics["auc"]["verdict"] == "better"
    assert metrics["auc"]["low"] < metrics["auc"]["difference"] < metrics["auc"]["high"]
    assert set(metrics) >= {"auc", "logloss", "gauc"}
