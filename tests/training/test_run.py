import json
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from sklearn.metrics import log_loss, roc_auc_score

from recsys.api.run import Run
from recsys.config import Config
from recsys.data.prepare import prepare
from recsys.errors import ConfigError, DataError
from recsys.training.build import LoadedModel, build, load_run
from recsys.training.evaluate import evaluate_files
from recsys.training.run import TrainResult
from recsys.training.strategy import table_weights
from tests.training.logs import clicks, epochs, make_config, predictions, run, steady, write_log

pytestmark = pytest.mark.slow

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def trained(log: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainResult:
    return run(log, tmp_path_factory.mktemp("runs") / "trained")


@pytest.fixture(scope="module")
def misleading(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log whose validation clicks are the opposite of its training clicks: each epoch is worse than the former."""
    folder = write_log(tmp_path_factory.mktemp("misleading"))
    valid = clicks(400, seed=1).with_columns(click=1 - pl.col("click"))
    valid.write_parquet(folder / "valid.parquet")
    return folder


def test_a_run_ends_with_all_its_files(trained: TrainResult) -> None:
    found = {str(path.relative_to(trained.folder)) for path in trained.folder.rglob("*") if path.is_file()}
    assert found >= {
        "config.yaml",
        "environment.json",
        "golden.parquet",
        "metrics.json",
        "metrics.jsonl",
        "checksums.json",
        "predictions/checksums.json",
        "predictions/test.parquet",
        "predictions/valid.parquet",
        "transform/checksums.json",
        "transform/state.json",
        "checkpoints/best/trainer.pt",
        "checkpoints/last/trainer.pt",
    }
    assert len([name for name in found if name.startswith("tensorboard/events.out.tfevents")]) == 1
    assert not [name for name in found if name.endswith(".tmp") or "/." in name]


def test_without_tensorboard_a_run_has_no_event_files_and_the_same_figures(
    log: Path, trained: TrainResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with caplog.at_level("DEBUG", logger="recsys"):
        result = run(log, tmp_path / "run")
    assert not (tmp_path / "run" / "tensorboard").exists()
    assert [record.message for record in caplog.records if "recsys[tensorboard]" in record.message]
    assert steady(result.metrics) == steady(trained.metrics)


def test_metrics_json_holds_the_figures_of_the_run(trained: TrainResult) -> None:
    metrics = json.loads((trained.folder / "metrics.json").read_text())
    assert metrics == trained.metrics
    names = ("auc", "logloss", "gauc", "ne", "calibration")
    assert metrics.keys() >= {f"{split}.{name}" for split in ("test", "valid") for name in names}
    assert metrics["epochs"] == 3
    assert metrics["rows_per_second"] == pytest.approx(3 * 1600 / metrics["seconds"])
    weights, row_state = 4 * 8 * (21 + 13), 4 * (21 + 13)  # users and items, and id 0 of both
    assert metrics["embedding_bytes"] == weights + row_state
    assert metrics["embedding_bytes.serving"] == weights


def test_what_is_doubtful_is_said_before_training(log: Path, tmp_path: Path) -> None:
    said: list[str] = []
    table = {"features": ["user", "item"], "scheme": "unified", "rows": 30}
    config = make_config(tmp_path, tables={"both": table}, model={"tower": "fm", "dim": 8}, train={"epochs": 1})
    run(log, tmp_path / "run", config, log=said.append)
    assert ["tables.both: its features share rows" in line for line in said] == [True, False, False]
    assert said[1].startswith("seen: missing ")
    assert said[0].startswith("warning: ")


@pytest.mark.parametrize("split", ["test", "valid"])
def test_the_metrics_are_those_of_the_predictions(trained: TrainResult, split: str) -> None:
    rows = predictions(trained.folder, split)
    assert rows["label"].to_list() == clicks(400, seed=["train", "valid", "test"].index(split))["click"].to_list()
    assert trained.metrics[f"{split}.auc"] == pytest.approx(roc_auc_score(rows["label"], rows["score"]), abs=1e-12)
    assert trained.metrics[f"{split}.logloss"] == pytest.approx(log_loss(rows["label"], rows["score"]), abs=1e-12)


def test_each_epoch_is_one_line_and_the_best_one_is_scored_again_to_the_last_bit(trained: TrainResult) -> None:
    lines = epochs(trained.folder)
    assert [line["epoch"] for line in lines] == [1, 2, 3]
    assert [line["step"] for line in lines] == [13, 26, 39]
    best = max(lines, key=lambda line: line["valid.auc"])
    assert trained.metrics["best_epoch"] == best["epoch"]
    valid = [name for name in best if name.startswith("valid.")]
    assert {name: best[name] for name in valid} == {name: trained.metrics[name] for name in valid}


def test_a_checkerboard_of_users_and_items_is_learnt(log: Path, tmp_path: Path) -> None:
    found = run(log, tmp_path / "run", make_config(tmp_path, train={"epochs": 6}))
    bayes = np.where((clicks(400, seed=2)["user"] + clicks(400, seed=2)["item"].str.slice(1).cast(int)) % 2 == 0, 1, 0)
    assert found.metrics["test.auc"] > roc_auc_score(clicks(400, seed=2)["click"], bayes) - 0.03


def test_the_same_seed_gives_the_same_bits_and_another_seed_others(
    log: Path, tmp_path: Path, trained: TrainResult
) -> None:
    again = run(log, tmp_path / "again")
    other = run(log, tmp_path / "other", make_config(tmp_path, train={"seed": 2}))
    assert steady(again.metrics) == steady(trained.metrics)
    assert predictions(again.folder).equals(predictions(trained.folder))
    assert not predictions(other.folder).equals(predictions(trained.folder))


def test_weights_count_in_the_metrics(log: Path, tmp_path: Path) -> None:
    found = run(log, tmp_path / "run", make_config(tmp_path, weight="weight", train={"epochs": 1}))
    rows = predictions(found.folder)
    weight = clicks(400, seed=2)["weight"]
    np.testing.assert_array_equal(rows["weight"], weight.cast(pl.Float32))
    expected = roc_auc_score(rows["label"], rows["score"], sample_weight=rows["weight"].cast(pl.Float64))
    assert found.metrics["test.auc"] == pytest.approx(expected, abs=1e-12)
    expected = log_loss(rows["label"], rows["score"], sample_weight=rows["weight"].cast(pl.Float64))
    assert found.metrics["test.logloss"] == pytest.approx(expected, abs=1e-12)


def test_rows_without_weight_teach_nothing(tmp_path: Path) -> None:
    folder = write_log(tmp_path / "log")
    lies = clicks(1600, seed=9).with_columns(click=1 - pl.col("click"), weight=0.0)
    pl.concat([clicks(1600, seed=0).with_columns(weight=1.0), lies]).write_parquet(folder / "train.parquet")
    found = run(folder, tmp_path / "run", make_config(tmp_path, weight="weight", train={"epochs": 6}))
    assert found.metrics["test.auc"] > 0.8


def test_equal_weights_and_no_weights_train_the_same_to_the_last_bit(tmp_path: Path) -> None:
    folder = write_log(tmp_path / "log")
    for seed, (split, num_rows) in enumerate({"train": 1600, "valid": 400, "test": 400}.items()):
        clicks(num_rows, seed=seed).with_columns(weight=0.3).write_parquet(folder / f"{split}.parquet")
    run(folder, tmp_path / "none")
    run(folder, tmp_path / "equal", make_config(tmp_path, weight="weight"))
    none, equal = (epochs(tmp_path / name) for name in ("none", "equal"))
    assert [line["train.loss"] for line in equal] == [line["train.loss"] for line in none]
    assert predictions(tmp_path / "equal").drop("weight").equals(predictions(tmp_path / "none"))


@pytest.mark.parametrize("problem", ["has no rows", "click is 0 in all 400 rows"])
def test_a_test_split_without_rows_or_class_loses_no_run(problem: str, tmp_path: Path) -> None:
    folder, said = write_log(tmp_path / "log"), list[str]()
    rows = clicks(400, seed=2).with_columns(click=pl.lit(0))
    (rows.head(0) if "no rows" in problem else rows).write_parquet(folder / "test.parquet")
    found = run(folder, tmp_path / "run", make_config(tmp_path, train={"epochs": 1}), log=said.append)
    assert [line for line in said if line.startswith(f"warning: data.test: {problem}")]
    written = json.loads((tmp_path / "run" / "metrics.json").read_text(), parse_constant=pytest.fail)
    assert written["valid.auc"] == found.metrics["valid.auc"]
    if "no rows" not in problem:
        assert written["test.auc"] is None
        assert written["test.logloss"] > 0
    assert pl.read_parquet(tmp_path / "run" / "golden.parquet").height == 400  # of the first split that has rows
    Run(tmp_path / "run").export(tmp_path / "bundle")


def test_several_tasks_have_their_own_figures_and_a_mean(log: Path, tmp_path: Path) -> None:
    both = {"clicked": "click", "bought": "buy"}
    found = run(log, tmp_path / "run", make_config(tmp_path, label=both, train={"epochs": 6}))
    metrics = found.metrics
    assert metrics["test.clicked.auc"] > 0.8
    assert metrics["test.bought.auc"] > 0.8
    assert metrics["test.auc"] == pytest.approx((metrics["test.clicked.auc"] + metrics["test.bought.auc"]) / 2)
    rows = predictions(found.folder)
    assert set(rows.columns) == {"label.clicked", "score.clicked", "label.bought", "score.bought", "group"}
    assert metrics["test.bought.auc"] == pytest.approx(roc_auc_score(rows["label.bought"], rows["score.bought"]))


def test_regularised_rows_are_shorter(log: Path, tmp_path: Path) -> None:
    def lengths(rows: float) -> float:
        config = make_config(tmp_path / f"{rows}-config", train={"regularization": {"rows": rows}})
        run(log, tmp_path / str(rows), config)
        return sum(float(table.norm()) for table in best_tables(tmp_path / str(rows)).values())

    assert lengths(100.0) < 0.5 * lengths(0.0)


def test_the_penalty_on_rows_weighs_against_their_labels_alike_in_batches_of_any_size(tmp_path: Path) -> None:
    """Each id is in one row: with SGD at rates that grow with the batch, an epoch moves a row by the same."""
    once = clicks(512, seed=3).with_columns(user=pl.int_range(512))
    for split in ("train", "valid", "test"):
        once.write_parquet(tmp_path / f"{split}.parquet")

    def trained(batch_size: int, rows: float) -> torch.Tensor:
        optimizers = {"sparse_optimizer": {"name": "sgd", "lr": batch_size / 64}, "dense_optimizer": {"lr": 1e-12}}
        changes = {"batch_size": batch_size, "regularization": {"rows": rows}, "lr_schedule": "constant", **optimizers}
        config = make_config(
            tmp_path / f"{batch_size}-{rows}-config",
            features={"user": {"type": "id"}},
            group=None,
            model={"tower": "mlp", "mlp": [16]},
            train={"epochs": 1, **changes},
        )
        run(tmp_path, tmp_path / f"{batch_size}-{rows}", config)
        (table,) = best_tables(tmp_path / f"{batch_size}-{rows}").values()
        return table

    small, large, free = trained(64, 0.01), trained(512, 0.01), trained(512, 0.0)
    torch.testing.assert_close(small, large)
    assert (large - free).abs().max() > 1e-3


def test_early_stopping_ends_the_run_and_the_best_epoch_is_not_the_last(misleading: Path, tmp_path: Path) -> None:
    config = make_config(tmp_path, train={"epochs": 9, "early_stopping": {"metric": "auc", "patience": 2}})
    found = run(misleading, tmp_path / "run", config)
    lines = epochs(tmp_path / "run")
    assert [line["epoch"] for line in lines] == [1, 2, 3]
    assert (found.metrics["epochs"], found.metrics["best_epoch"]) == (3, 1)
    assert found.metrics["valid.auc"] == lines[0]["valid.auc"] > lines[1]["valid.auc"]


def test_the_lowest_logloss_is_best_when_logloss_is_watched(misleading: Path, tmp_path: Path) -> None:
    config = make_config(tmp_path, train={"epochs": 9, "early_stopping": {"metric": "logloss", "patience": 1}})
    found = run(misleading, tmp_path / "run", config)
    losses = [line["valid.logloss"] for line in epochs(tmp_path / "run")]
    assert found.metrics["valid.logloss"] == min(losses)
    assert len(losses) == found.metrics["best_epoch"] + 1


def test_a_reduced_learning_rate_stands_in_the_epochs_lines(misleading: Path, tmp_path: Path) -> None:
    config = make_config(tmp_path, train={"epochs": 4, "lr_schedule": {"name": "plateau", "factor": 0.5}})
    run(misleading, tmp_path / "run", config)
    # Each line tells the rate its epoch was trained with.
    assert [line["lr"] for line in epochs(tmp_path / "run")] == [0.01, 0.01, 0.005, 0.0025]


def test_bf16_trains_and_is_validated_as_it_is_scored(log: Path, tmp_path: Path) -> None:
    found = run(log, tmp_path / "run", make_config(tmp_path, train={"precision": "bf16-mixed", "epochs": 6}))
    lines = epochs(tmp_path / "run")
    best = lines[int(found.metrics["best_epoch"]) - 1]
    valid = [name for name in best if name.startswith("valid.")]
    assert {name: best[name] for name in valid} == {name: found.metrics[name] for name in valid}
    assert found.metrics["test.auc"] > 0.8


def test_clipped_gradients_hold_the_dense_part_but_not_the_tables(log: Path, tmp_path: Path) -> None:
    optimizers = {"dense_optimizer": {"name": "sgd", "lr": 0.1}, "gradient_clip": 1e-12, "epochs": 1}
    config = make_config(tmp_path, train=optimizers)
    run(log, tmp_path / "run", config)
    fresh = build_fresh(config, log)
    after = load_run(tmp_path / "run", device=CPU)
    for before, now in zip(fresh.model.module.tower.parameters(), after.model.module.tower.parameters(), strict=True):
        torch.testing.assert_close(now, before, rtol=0, atol=1e-9)
    for name, table in table_weights(fresh.model).items():
        assert not torch.allclose(table, table_weights(after.model)[name], atol=1e-3)


@pytest.mark.parametrize("part", ["dense_optimizer", "sparse_optimizer"])
def test_diverging_training_says_what_to_do(log: Path, tmp_path: Path, part: str) -> None:
    config = make_config(tmp_path, train={part: {"name": "adagrad", "lr": 1e38}})
    with pytest.raises(ConfigError, match=r"training diverged in epoch 1: .* lower the learning rate \(now .*1e\+38"):
        run(log, tmp_path / "run", config)


def test_predictions_that_are_nan_say_so_too(log: Path, tmp_path: Path) -> None:
    everything_at_once = {"batch_size": 1600, "seed": 2, "dense_optimizer": {"name": "sgd", "lr": 1e38}}
    with pytest.raises(ConfigError, match="predictions for the validation rows are nan; lower the learning rate"):
        run(log, tmp_path / "run", make_config(tmp_path, train=everything_at_once))


def test_a_folder_in_use_is_refused(trained: TrainResult, log: Path) -> None:
    with pytest.raises(ConfigError, match="exists already; choose another name"):
        run(log, trained.folder)


def test_a_log_without_test_rows_has_no_test_figures(log: Path, tmp_path: Path) -> None:
    data = {"train": "train.parquet", "valid": "valid.parquet"}
    found = run(log, tmp_path / "run", make_config(tmp_path, data=data, train={"epochs": 1}))
    assert "valid.auc" in found.metrics
    assert not [name for name in found.metrics if name.startswith("test")]


def test_a_folder_that_is_no_run_cannot_be_loaded(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"not a run folder: it has no config\.yaml"):
        load_run(tmp_path, device=CPU)


def best_tables(folder: Path) -> dict[str, torch.Tensor]:
    """Return copies of the tables of a run's best epoch."""
    return {name: table.clone() for name, table in table_weights(load_run(folder, device=CPU).model).items()}


def build_fresh(config: Config, log: Path) -> LoadedModel:
    prepared = prepare(config, log, log / "cache")
    return build(prepared.resolved, prepared.state, device=CPU)


@pytest.mark.parametrize(("split", "value"), [("train", 0), ("valid", 1)])
def test_a_split_with_one_class_is_refused(tmp_path: Path, split: str, value: int) -> None:
    folder = write_log(tmp_path / "log")
    clicks(400, seed=1).with_columns(click=pl.lit(value)).write_parquet(folder / f"{split}.parquet")
    with pytest.raises(DataError, match=f"data.{split}: click is {value} in all 400 rows; AUC needs both classes"):
        run(folder, tmp_path / "run")


@pytest.mark.parametrize("split", ["train", "valid"])
@pytest.mark.parametrize(
    ("weight", "problem"),
    [
        (pl.lit(0.0), "weight is 0 in all 400 rows"),
        (pl.col("click") * 2.0, "weight is 0 in all rows with click = 0"),
        (1.0 - pl.col("click"), "weight is 0 in all rows with click = 1"),
    ],
)
def test_weights_that_leave_a_class_out_are_refused(tmp_path: Path, split: str, weight: pl.Expr, problem: str) -> None:
    folder = write_log(tmp_path / "log")
    clicks(400, seed=1).with_columns(weight=weight).write_parquet(folder / f"{split}.parquet")
    with pytest.raises(DataError, match=f"data.{split}: {problem}; AUC needs both classes"):
        run(folder, tmp_path / "run", make_config(tmp_path, weight="weight"))
    assert not (tmp_path / "run").exists()


def test_ids_that_are_written_otherwise_than_in_training_draw_a_warning(tmp_path: Path) -> None:
    """As pandas writes them where the column has a gap on one day; `evaluate` says so too."""
    folder, said = write_log(tmp_path / "log"), list[str]()
    for split in ("train", "valid"):
        rows = pl.read_parquet(folder / f"{split}.parquet").drop("seen")
        suffix = "" if split == "train" else ".0"
        rows.with_columns(user=pl.col("user").cast(str) + suffix).write_csv(folder / f"{split}.csv")
    features = {"user": {"type": "id"}, "item": {"type": "id"}}
    data = {"train": "train.csv", "valid": "valid.csv"}
    config = make_config(tmp_path, features=features, data=data, train={"epochs": 1})
    run(folder, tmp_path / "run", config, log=said.append)
    (warning,) = [line for line in said if "unknown" in line]
    assert warning.startswith("warning: data.valid: 100 % of the values of user are unknown")
    found = json.loads((tmp_path / "run" / "data.json").read_text())["splits"]["valid"]["features"]
    assert (found["user"]["unknown"], found["item"]["unknown"]) == (400, 0)
    evaluate_files(tmp_path / "run", [str(folder / "valid.csv")], device="cpu", log=said.append)
    assert said[-1].startswith(f"warning: {folder / 'valid.csv'}: 100 % of the values of user are unknown")


def test_a_validation_split_without_rows_is_refused(tmp_path: Path) -> None:
    folder = write_log(tmp_path / "log")
    clicks(400, seed=1).head(0).write_parquet(folder / "valid.parquet")
    with pytest.raises(DataError, match=r"data\.valid: has no rows"):
        run(folder, tmp_path / "run")
