"""Importance on models whose knowledge is known: trained on planted logs, or made by hand."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from recsys.data.prepare import prepare
from recsys.data.prepared import PreparedSplit
from recsys.errors import DataError
from recsys.judging.importance import importance, importance_of
from recsys.judging.units import Unit, units_of
from recsys.training.build import LoadedModel, build
from tests.judging.rich_log import CHANGES, UNITS
from tests.training.logs import clicks, make_config, run
from tests.training.untrained import untrained


def of(loaded: LoadedModel, split: PreparedSplit, **options: Any) -> pl.DataFrame:
    return importance_of(loaded, split, units_of(loaded.resolved), **options)


@pytest.fixture(scope="module")
def trained(log: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on the checkerboard of user and item, to which price and seen add nothing."""
    folder = tmp_path_factory.mktemp("runs")
    config = make_config(folder, model={"tower": "din", "dim": 8, "mlp": [16]}, train={"epochs": 6})
    return run(log, folder / "run", config).folder


def look(log: Path, trained: Path, *, data: list[str] | None = None, **options: Any) -> pl.DataFrame:
    return importance(trained, data, data_dir=log, cache_dir=log / "cache", device="cpu", **options)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["permute", "drop"])
def test_what_was_planted_comes_first_and_what_was_not_is_within_noise_of_nothing(
    log: Path, trained: Path, method: Any
) -> None:
    found = look(log, trained, method=method)
    assert sorted(found["feature"][:2]) == ["item", "user"]
    assert found["auc_loss"][:2].min() > 0.2
    for row in found[2:].iter_rows(named=True):
        assert row["auc_loss_low"] < 0 < row["auc_loss_high"]
    assert found["verdict"][:2].to_list() == ["carries", "carries"]
    if method == "permute":  # a model that never saw an empty history is less sure of what it means
        assert "carries" not in found["verdict"][2:]
    assert set(found["repeats"]) == {5 if method == "permute" else 1}


@pytest.mark.slow
def test_the_rows_of_the_run_are_those_it_was_evaluated_on_or_any_files(log: Path, trained: Path) -> None:
    found = look(log, trained)
    assert found.equals(look(log, trained, data=[str(log / "test.parquet")]))
    assert not found.equals(look(log, trained, split="valid"))
    whole = found.select(pl.col("auc") + pl.col("auc_loss"), pl.col("logloss") - pl.col("logloss_gain"))
    predicted = pl.read_parquet(trained / "predictions" / "test.parquet")
    from recsys.evaluation.summary import evaluate

    expected = evaluate(predicted["score"].to_numpy(), predicted["label"].to_numpy())
    np.testing.assert_allclose(whole["auc"], expected["auc"], atol=1e-12)
    np.testing.assert_allclose(whole["logloss"], expected["logloss"], atol=1e-12)


@pytest.mark.slow
def test_a_seed_and_a_sample_give_the_same_table_again(log: Path, trained: Path) -> None:
    found = look(log, trained, rows=150)
    assert set(found["rows"]) == {150}
    assert found.equals(look(log, trained, rows=150))
    assert not found.equals(look(log, trained, rows=150, seed=7))
    item = look(log, trained, rows=150, features=["item"])
    assert item.row(0)[:-2] == found.filter(feature="item").row(0)[:-2]


@pytest.mark.slow
def test_rows_that_are_gone_or_others_now_are_refused(log: Path, trained: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"data\.train: .*train\.parquet"):
        importance(trained, data_dir=tmp_path, cache_dir=tmp_path / "cache", device="cpu")
    for split in ("train", "valid", "test"):
        clicks(100, seed=9).write_parquet(tmp_path / f"{split}.parquet")
    with pytest.raises(DataError, match="are not those that it was trained on; name files to look at"):
        importance(trained, data_dir=tmp_path, cache_dir=tmp_path / "cache", device="cpu")
    path = tmp_path / "one.parquet"
    clicks(10, seed=9).drop("item").write_parquet(path)
    with pytest.raises(DataError, match=r"one\.parquet.*item"):
        look(log, trained, data=[str(path)])
    clicks(10, seed=9).with_columns(click=1).write_parquet(path)
    with pytest.raises(DataError, match="AUC needs rows of both classes, but the 10 rows that are looked at are all"):
        look(log, trained, data=[str(path)])


def test_every_unit_has_a_row_and_says_what_changed_with_it(rich_log: Path, tmp_path: Path) -> None:
    loaded, split = untrained(rich_log, tmp_path, **CHANGES, model={"tower": "din", "dim": 8, "mlp": [8]})
    found = of(loaded, split, repeats=2)
    assert sorted(found["feature"]) == sorted(UNITS)
    assert found["auc_loss"].to_list() == sorted(found["auc_loss"], reverse=True)
    assert found.filter(feature="segment")["features"].to_list() == [["segment", "taste"]]


def test_several_tasks_are_looked_at_in_the_mean_and_each(log: Path, tmp_path: Path) -> None:
    loaded, split = untrained(log, tmp_path, label={"click": "click", "buy": "buy"}, weight="weight")
    found = of(loaded, split, repeats=2)
    for column in ("auc_loss", "logloss_gain"):
        mean = found.select(pl.mean_horizontal(f"{column}.click", f"{column}.buy")).to_series()
        np.testing.assert_allclose(found[column], mean, atol=1e-15)
        assert (found[f"{column}.click"] - found[f"{column}.buy"]).abs().max() > 1e-3


def test_a_feature_type_of_ones_own_is_looked_at_like_any_other(log: Path, tmp_path: Path) -> None:
    sign = {"type": "tests.judging.own_type:Sign", "column": "price", "above": 50}
    features = {"user": {"type": "id"}, "price": {"type": "number"}, "is_dear": sign}
    loaded, split = untrained(log, tmp_path, features=features)
    found = of(loaded, split, repeats=1)
    assert sorted(found["feature"]) == ["price + is_dear", "user"]
    assert found["auc_loss"].abs().min() > 0


def redundant(folder: Path, features: dict[str, Any], **changes: Any) -> tuple[LoadedModel, PreparedSplit]:
    """Return a model without knowledge, but for that of number features whose weights a test sets, and 4,000 rows."""
    draw = np.random.default_rng(0)
    signal, other = draw.normal(size=(2, 4_000))
    rows = pl.DataFrame({"a": signal, "b": signal, "other": other, "noise": draw.normal(size=4_000)}).with_columns(
        click=pl.Series(draw.random(4_000) < 1 / (1 + np.exp(-signal - other))).cast(pl.Int8)
    )
    folder.mkdir()
    for split in ("train", "valid", "test"):
        rows.write_parquet(folder / f"{split}.parquet")
    config = make_config(folder, features=features, group=None, model={"tower": "mlp", "dim": 4, "mlp": []}, **changes)
    prepared = prepare(config, folder, folder / "cache")
    built = build(prepared.resolved, prepared.state, device=torch.device("cpu"))
    with torch.no_grad():
        for parameter in built.model.parameters():
            parameter.zero_()
    return built, prepared.splits["test"]


def set_weights(loaded: LoadedModel, *weights: float) -> None:
    """Set the weights of the numbers in a tower that is one linear layer."""
    [layer] = [one for one in loaded.model.module.tower.modules() if isinstance(one, torch.nn.Linear)]
    with torch.no_grad():
        layer.weight[0, -len(weights) :] = torch.tensor(weights)


NUMBERS = {name: {"type": "number"} for name in ("a", "b", "other", "noise")}


def test_what_is_worth_nothing_can_be_left_out(tmp_path: Path) -> None:
    loaded, split = redundant(tmp_path / "log", NUMBERS)
    set_weights(loaded, 1.0, 0.0, 0.8, 0.0)
    found = of(loaded, split)
    assert found["feature"][:2].to_list() == ["a", "other"]
    assert found["verdict"].to_list() == ["carries", "carries", "nothing", "nothing"]
    assert found["is_nothing"].to_list() == found["can_be_left_out"].to_list() == [False, False, True, True]
    assert found["auc_loss_high"].to_list()[2:] == [0.0, 0.0]


def test_a_feature_that_shows_but_means_nothing_is_unclear_until_there_are_rows(tmp_path: Path) -> None:
    loaded, split = redundant(tmp_path / "log", NUMBERS)
    set_weights(loaded, 1.0, 0.0, 1.0, 0.3)
    assert of(loaded, split).filter(feature="noise")["verdict"].to_list() == ["unclear"]
    set_weights(loaded, 1.0, 0.0, 1.0, 0.001)
    assert of(loaded, split).filter(feature="noise")["verdict"].to_list() == ["nothing"]


def test_what_others_need_cannot_be_left_out(tmp_path: Path, log: Path) -> None:
    loaded, split = untrained(log, tmp_path, model={"tower": "din", "dim": 8, "mlp": [8]})
    with torch.no_grad():
        for parameter in loaded.model.module.tower.parameters():
            parameter.zero_()
    found = of(loaded, split, repeats=1)
    assert set(found["verdict"]) == {"nothing"}
    assert found.filter("can_be_left_out").is_empty()  # not one may be left


def test_features_that_are_worth_something_together_are_left_out_as_far_as_nothing_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of a and b is called worth nothing, as where the other one says the same; both together are not."""
    from recsys.judging import importance as module

    loaded, split = redundant(tmp_path / "log", NUMBERS)
    set_weights(loaded, 0.3, 0.3, 3.0, 0.0)
    alone = of(loaded, split, repeats=1).filter(pl.col("feature").is_in(["a", "b"]))
    most = max(alone["auc_loss_high"].to_list() + alone["logloss_gain_high"].to_list())
    monkeypatch.setattr(module, "LEAST", most + 1e-6)
    monkeypatch.setattr(module, "ALPHA", 0.0)  # nothing is surely worth something
    found = of(loaded, split, repeats=1)
    assert sorted(found.filter("is_nothing")["feature"]) == ["a", "b", "noise"]
    left_out = found.filter("can_be_left_out")["feature"].to_list()
    assert "noise" in left_out
    assert len(left_out) == 2


def test_a_unit_may_be_any_features(log: Path, tmp_path: Path) -> None:
    loaded, split = untrained(log, tmp_path)
    found = importance_of(loaded, split, [Unit(("user", "item"), ()), Unit(("price",), ())], repeats=1)
    assert sorted(found["feature"]) == ["price", "user + item"]
