"""What can be compared, and what is refused."""

import shutil
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from recsys.config import dump, load_config
from recsys.config.seeds import with_fixed_split, with_seed
from recsys.errors import DataError
from recsys.evaluation.predictions import ScoreColumns
from recsys.judging.contenders import Contender, read_contenders
from tests.judging.judged_models import write_run, write_scores


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three seeds of one model, a run of another, and a file of a third."""
    monkeypatch.chdir(tmp_path)
    for seed in (1, 2, 10):
        write_run(Path(f"runs/a-seed-{seed}"), noise=0.2, seed=seed)
    write_run(Path("runs/b"), noise=0.5)
    write_scores(Path("other.parquet"), noise=1, groups=False)
    return tmp_path


def read(*names: str, columns: ScoreColumns = ScoreColumns()) -> list[Contender]:  # noqa: B008
    return read_contenders(names, split="test", columns=columns)


@pytest.mark.usefixtures("folder")
def test_a_pattern_is_one_model_with_a_run_for_each_seed_in_their_order() -> None:
    first, second = read("runs/a-seed-*", "runs/b/")
    assert (first.name, second.name) == ("runs/a-seed-*", "runs/b")
    assert [path.name for path in first.paths] == ["a-seed-1", "a-seed-2", "a-seed-10"]
    assert [len(seed[""]) for seed in first.seeds] == [2000] * 3


@pytest.mark.usefixtures("folder")
def test_seeds_that_were_trained_on_one_random_split_are_one_model() -> None:
    for seed in (1, 2):
        config = with_seed(with_fixed_split(load_config(Path("runs/a-seed-1/config.yaml"))), seed)
        write_run(Path(f"runs/c-seed-{seed}"), noise=0.2, seed=seed)
        Path(f"runs/c-seed-{seed}/config.yaml").write_text(dump(config))
    assert len(read("runs/c-seed-*", "runs/b")[0].seeds) == 2


def test_paths_may_be_absolute(folder: Path) -> None:
    assert len(read(f"{folder}/runs/a-*", f"{folder}/runs/b")[0].seeds) == 3


@pytest.mark.usefixtures("folder")
def test_runs_are_compared_with_files_of_other_models_whose_columns_are_named() -> None:
    pl.read_parquet("other.parquet").rename({"label": "click", "score": "p"}).write_parquet("other.parquet")
    _, other = read("runs/b", "other.parquet", columns=ScoreColumns("click", "p"))
    assert other.paths == (Path("other.parquet"),)


def change_rows(path: str, change: Callable[[pl.DataFrame], pl.DataFrame]) -> None:
    change(pl.read_parquet(path)).write_parquet(path)


REFUSED: dict[str, tuple[Callable[[], object], tuple[str, ...], str]] = {
    "one model": (lambda: None, ("runs/b",), "needs at least two .* got 1$"),
    "one pattern": (lambda: None, ("runs/*",), "give each model a pattern of its own"),
    "no such run": (lambda: None, ("runs/b", "runs/c"), "runs/c: there is no such file"),
    "no such pattern": (lambda: None, ("runs/b", "runs/c-*"), r"runs/c-\*: no run or file has a name like this"),
    "no run": (lambda: Path("empty").mkdir(), ("runs/b", "empty"), "empty: not a run folder"),
    "itself": (lambda: None, ("runs/b", "runs/../runs/b"), "is part of 'runs/b' and of"),
    "no predictions": (
        lambda: shutil.rmtree("runs/b/predictions"),
        ("runs/b", "other.parquet"),
        "has no predictions of the test split; train the run again",
    ),
    "only of the other split": (
        lambda: Path("runs/b/predictions/test.parquet").rename("runs/b/predictions/valid.parquet"),
        ("runs/b", "other.parquet"),
        "has no predictions of the test split, but of the valid split: --split valid",
    ),
    "unfinished": (
        lambda: (shutil.rmtree("runs/b/predictions"), Path("runs/b/metrics.json").unlink()),
        ("runs/b", "other.parquet"),
        "has not come to its end; recsys train CONFIG --resume runs/b",
    ),
    "fewer rows": (
        lambda: change_rows("other.parquet", lambda rows: rows.head(1999)),
        ("runs/b", "other.parquet"),
        "it has 1,999 rows, the other 2,000",
    ),
    "another order": (
        lambda: change_rows("other.parquet", lambda rows: rows.reverse()),
        ("runs/b", "other.parquet"),
        "the labels differ, first in row .* in the same order$",
    ),
    "other data": (
        lambda: write_run(Path("runs/c"), noise=1, data="two", rows=1000),
        ("runs/b", "runs/c"),
        "it has 1,000 rows, the other 2,000; .*The two runs are of different data$",
    ),
    "a split by the seed": (
        lambda: write_run(Path("runs/c"), noise=1, seed=5, data="two", rows=1000),
        ("runs/b", "runs/c"),
        "different data; a random split follows train.seed: set data.split.seed to keep it",
    ),
    "only one weighted": (
        lambda: change_rows("other.parquet", lambda rows: rows.with_columns(weight=1.0)),
        ("runs/b", "other.parquet"),
        "only one of them has weights",
    ),
    "other tasks": (
        lambda: change_rows("other.parquet", lambda rows: rows.rename({"label": "label.buy", "score": "score.buy"})),
        ("runs/b", "other.parquet"),
        "its labels are buy, those of the other one",
    ),
    "no such column": (
        lambda: change_rows("other.parquet", lambda rows: rows.rename({"score": "p"})),
        ("runs/b", "other.parquet"),
        "other.parquet: has no column 'score' for the score",
    ),
    "two configurations": (
        lambda: write_run(Path("runs/a-seed-3"), noise=1, seed=3, batch_size=16),
        ("runs/b", "runs/a-seed-*"),
        "different configurations: 'batch_size: 8', 'batch_size: 16'; the runs of one model may differ in train.seed",
    ),
    "one seed twice": (
        lambda: write_run(Path("runs/a-seed-3"), noise=1, seed=2),
        ("runs/b", "runs/a-seed-*"),
        "a-seed-2 and runs/a-seed-3 both have train.seed 2",
    ),
}


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_compared_is_refused_with_the_reason(case: str) -> None:
    spoil, names, words = REFUSED[case]
    spoil()
    with pytest.raises(DataError, match=words):
        read(*names)
