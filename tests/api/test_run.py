"""What a run folder tells, and what its best model does."""

import json
import shutil
from pathlib import Path

import polars as pl
import pytest

import recsys
from recsys.errors import ConfigError, DataError
from tests.training.logs import clicks, make_config, run, write_log

pytestmark = pytest.mark.slow

TEST = clicks(400, seed=2)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> recsys.Run:
    log = write_log(tmp_path_factory.mktemp("log"))
    config = make_config(log / "autoint", model={"tower": "autoint", "dim": 8, "heads": 2, "attention_dim": 8})
    return recsys.Run(run(log, log / "run", config).folder)


def test_it_reads_what_lies_in_the_folder(trained: recsys.Run) -> None:
    assert trained.is_finished
    assert trained.metrics == json.loads((trained.path / "metrics.json").read_text())
    assert trained.history()["epoch"].to_list() == [1, 2, 3]
    assert trained.config.model.tower == "autoint"
    assert trained.predictions().columns == ["label", "score", "group"]
    assert trained.predictions("valid").height == 400
    assert repr(trained) == f"Run({str(trained.path)!r})"


def test_predictions_of_a_split_that_is_none_are_refused(trained: recsys.Run) -> None:
    with pytest.raises(DataError, match="split: must be 'test' or 'valid', got 'foo'"):
        trained.predictions("foo")  # type: ignore[arg-type]


def test_other_rows_are_evaluated_from_memory_or_files(trained: recsys.Run, tmp_path: Path) -> None:
    from_memory = trained.evaluate(TEST, device="cpu", out=tmp_path / "scores.parquet")
    assert from_memory == trained.evaluate(TEST.to_dict(as_series=False), device="cpu")
    assert from_memory == trained.evaluate(trained.path.parent / "test.parquet", device="cpu")
    assert from_memory["auc"] == trained.metrics["test.auc"]
    assert pl.read_parquet(tmp_path / "scores.parquet").equals(trained.predictions())


def test_its_own_rows_are_evaluated_and_sliced_by_any_column(trained: recsys.Run) -> None:
    figures = trained.evaluate()
    assert {name: trained.metrics[f"test.{name}"] for name in ("auc", "logloss", "gauc")}.items() <= figures.items()
    table = trained.slices(["buy", "user"])
    assert set(table["column"]) == {"buy", "user"}  # no feature reads buy
    assert table.filter(column="buy")["rows"].sum() == figures["rows"]
    assert set(trained.slices("seen", split="valid")["by"]) == {"length"}


def test_other_rows_are_sliced_from_memory_or_files(trained: recsys.Run) -> None:
    from_memory = trained.slices("*", TEST, device="cpu")
    assert from_memory.equals(trained.slices("*", trained.path.parent / "test.parquet", device="cpu"))
    assert {"user", "item", "price", "seen", "buy", "weight"} == set(from_memory["column"])


def test_coverage_of_its_splits_and_of_other_rows(trained: recsys.Run) -> None:
    shares = trained.coverage().filter(feature="seen")
    assert shares["split"].to_list() == ["train", "valid", "test"]
    for split, share, matching in shares.select("split", "missing", "matching").iter_rows():
        rows = pl.read_parquet(trained.path.parent / f"{split}.parquet")
        assert share == (rows["seen"].list.len() == 0).mean()
        assert matching == (1.0 if split == "train" else None)
    said: list[str] = []
    trained.evaluate(TEST.with_columns(item=pl.lit("no such item")), device="cpu", log=said.append)
    assert [line for line in said if "100 % of the values of item are unknown" in line]


def test_a_run_of_a_former_release_has_no_coverage(trained: recsys.Run, tmp_path: Path) -> None:
    shutil.copytree(trained.path, tmp_path / "former")
    (tmp_path / "former" / "checksums.json").unlink()
    facts = json.loads((tmp_path / "former" / "data.json").read_text())
    (tmp_path / "former" / "data.json").write_text(json.dumps({name: facts[name] for name in ("prepared", "started")}))
    with pytest.raises(DataError, match=r"data\.json: was written by a release that did not count unknown values"):
        recsys.Run(tmp_path / "former").coverage()


def test_edited_counts_of_a_feature_are_refused(trained: recsys.Run, tmp_path: Path) -> None:
    shutil.copytree(trained.path, tmp_path / "edited")
    (tmp_path / "edited" / "checksums.json").unlink()
    facts = json.loads((tmp_path / "edited" / "data.json").read_text())
    facts["splits"]["valid"]["features"]["user"] = {"rows": 3, "gone": 1}
    (tmp_path / "edited" / "data.json").write_text(json.dumps(facts))
    problem = r"splits\.valid\.features\.user must have the counts of a feature, got rows, gone"
    with pytest.raises(DataError, match=rf"data\.json: is damaged: {problem}"):
        recsys.Run(tmp_path / "edited").coverage()


def test_attention_is_averaged_over_rows(trained: recsys.Run) -> None:
    found = trained.field_attention(TEST)
    assert found.names == ["user", "item", "seen", "price"]
    with pytest.raises(ConfigError, match="din"):
        trained.history_weights(TEST)


def test_it_is_exported_as_a_bundle_that_scores_alike(trained: recsys.Run, tmp_path: Path) -> None:
    bundle = trained.export(tmp_path / "bundle")
    difference = bundle.predict(TEST.drop("click"))["score"] - trained.predictions()["score"]
    assert difference.abs().max() < 1e-6


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not a run folder"):
        recsys.Run(tmp_path)


def test_a_run_that_is_not_finished_has_no_figures(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").touch()
    begun = recsys.Run(tmp_path)
    assert not begun.is_finished
    assert begun.history().is_empty()
    with pytest.raises(DataError, match=r"has no metrics.json"):
        _ = begun.metrics
    with pytest.raises(DataError, match="the run is not finished, or had no test rows"):
        begun.predictions()
