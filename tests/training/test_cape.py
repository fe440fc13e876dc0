"""Training on calibrated targets: what the targets are, and that the second stage is part of the run."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from recsys.config import Config, load_config
from recsys.data.prepare import prepare
from recsys.embeddings import Batch
from recsys.errors import ConfigError, DataError
from recsys.evaluation.probability import calibration_curve
from recsys.training import cape
from recsys.training.build import build, read_split
from recsys.training.cape import CapeSchedule, bin_targets, kernel_targets
from recsys.training.run import TrainResult
from recsys.training.task import CtrTask
from tests.ranks.run_on_ranks import run_on_ranks
from tests.training.interruptions import (
    STEPS,
    check_same,
    interrupted_at_save,
    interrupted_in_batch,
    interrupted_in_validation,
)
from tests.training.logs import epochs, make_config, run, steady, write_config
from tests.training.sessions import session

RANDOM = np.random.default_rng(0)
SCORE, WEIGHT = RANDOM.random(500), RANDOM.uniform(0.5, 2, 500)
LABEL = (RANDOM.random(500) < SCORE).astype(np.float64)

# --- the checks of the paper ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("weight", [None, WEIGHT])
@pytest.mark.parametrize("bins", [1, 5, 7, 500, 600])
def test_the_mean_target_of_bins_is_the_mean_label(bins: int, weight: np.ndarray | None) -> None:
    targets = bin_targets(SCORE, LABEL, weight, bins=bins)
    assert np.average(targets, weights=weight) == pytest.approx(np.average(LABEL, weights=weight), rel=1e-12)


def test_one_bin_has_one_target_and_as_many_bins_as_rows_have_the_labels() -> None:
    np.testing.assert_allclose(bin_targets(SCORE, LABEL, bins=1), LABEL.mean(), rtol=1e-12)
    assert np.array_equal(bin_targets(SCORE, LABEL, bins=500), LABEL)
    assert np.array_equal(bin_targets(SCORE, LABEL, WEIGHT, bins=10_000), LABEL)


@pytest.mark.parametrize("transform", [np.exp, np.sqrt, lambda score: 3 * score - 7], ids=["exp", "sqrt", "linear"])
def test_only_the_order_of_scores_counts_for_bins(transform: Any) -> None:
    assert np.array_equal(bin_targets(transform(SCORE), LABEL, bins=5), bin_targets(SCORE, LABEL, bins=5))


def test_bins_are_cut_as_in_the_official_code() -> None:
    targets = bin_targets(SCORE[:103], LABEL[:103], bins=5)
    order = np.argsort(SCORE[:103], kind="stable")
    for i in range(5):
        rows = order[int(i * 103 / 5) : int((i + 1) * 103 / 5)]
        np.testing.assert_allclose(targets[rows], LABEL[rows].mean(), rtol=1e-12)


def test_a_kernel_weighs_neighbours_by_their_distance() -> None:
    order = np.argsort(SCORE)
    score, label, weight = SCORE[order], LABEL[order], WEIGHT[order]
    targets = kernel_targets(SCORE, LABEL, WEIGHT, width=0.05, window=30)
    for i in (0, 1, 250, 499):
        rows = slice(max(0, i - 30), i + 31)
        near = np.exp(-0.5 * ((score[rows] - score[i]) / 0.05) ** 2) * weight[rows]
        assert targets[order[i]] == pytest.approx((near * label[rows]).sum() / near.sum(), rel=1e-12)


def test_a_narrow_kernel_has_the_labels_and_a_wide_one_the_mean_label() -> None:
    assert kernel_targets(SCORE, LABEL, width=1e-9, window=10) == pytest.approx(LABEL, abs=1e-12)
    assert kernel_targets(SCORE, LABEL, width=1e3, window=500) == pytest.approx(np.full(500, LABEL.mean()), rel=1e-6)


@pytest.mark.parametrize("targets", [bin_targets, kernel_targets])
def test_a_calibrated_model_is_a_fixed_point_on_average(targets: Any) -> None:
    random, num_rows = np.random.default_rng(3), 20_000
    score = random.random(num_rows)
    label = (random.random(num_rows) < score).astype(np.float64)
    keys = {"bins": 20} if targets is bin_targets else {"width": 0.05, "window": 500}
    found = targets(score, label, **keys)
    of_scores = targets(score, score, **keys)
    assert np.abs(found - of_scores).mean() < 0.02
    assert found.mean() == pytest.approx(score.mean(), abs=0.01)


def test_the_error_of_a_calibrated_simulator_falls_with_the_root_of_its_rows() -> None:
    def error(num_rows: int, seed: int) -> float:
        random = np.random.default_rng([num_rows, seed])
        score = random.random(num_rows)
        curve = calibration_curve(score, (random.random(num_rows) < score).astype(np.float64), bins=10)
        return float(np.average(np.abs(curve.prediction - curve.label), weights=curve.weight))

    few, many = (np.mean([error(num_rows, seed) for seed in range(20)]) for num_rows in (200, 20_000))
    assert few / many == pytest.approx(10, rel=0.2)


@pytest.mark.parametrize("num_rows", [0, 1, 2])
def test_few_rows_have_targets_too(num_rows: int) -> None:
    for targets in (
        bin_targets(SCORE[:num_rows], LABEL[:num_rows], bins=5),
        kernel_targets(SCORE[:num_rows], LABEL[:num_rows], width=0.1, window=5),
    ):
        assert targets.shape == (num_rows,)
        assert ((targets >= 0) & (targets <= 1)).all()


def test_rows_that_weigh_nothing_have_a_target_that_is_a_number() -> None:
    assert np.isfinite(bin_targets(SCORE, LABEL, np.zeros(500), bins=3)).all()


# --- the stage --------------------------------------------------------------------------------------------------------

TRAIN: dict[str, Any] = {
    "epochs": 6,
    "early_stopping": {"metric": "logloss", "patience": 2},
    "checkpoint_minutes": 0.0,
    "calibrated": {"targets": "bins", "bins": 4, "every": 2},
}


def config_of(folder: Path, **train: Any) -> Config:
    return make_config(folder, train=TRAIN | train)


@pytest.fixture(scope="module")
def calibrated(log: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainResult:
    folder = tmp_path_factory.mktemp("calibrated")
    return run(log, folder / "run", config_of(folder))


@pytest.mark.slow
def test_the_second_stage_begins_at_the_best_epoch_and_learns_targets_in_some_epochs(
    log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[int, int, float]] = []
    original = CapeSchedule.targets

    def targets(self: CapeSchedule) -> Any:
        found = original(self)
        if found is not None:
            progress = self.context.progress
            asked.append((progress.epoch - progress.stage_epoch, len(np.unique(found)), float(found.mean())))
            assert found.shape == (1600, 1)
        return found

    monkeypatch.setattr(CapeSchedule, "targets", targets)
    said: list[str] = []
    found = run(log, tmp_path / "run", config_of(tmp_path), log=said.append)
    lines = epochs(tmp_path / "run")
    assert {line["stage"] for line in lines} == {1, 2}
    assert [place for place, _, _ in asked] == [0, 2, 4][: len(asked)]
    assert {number for _, number, _ in asked} <= {2, 3, 4}
    positives = prepare(config_of(tmp_path), log, log / "cache").splits["train"].positives["label"]
    assert [mean for _, _, mean in asked] == pytest.approx([positives / 1600] * len(asked), abs=1e-6)
    assert [line for line in said if line.startswith("stage 2 of 2: from epoch ")]
    best = min(lines, key=lambda line: line["valid.logloss"])
    assert found.metrics["best_epoch"] == best["epoch"]
    assert found.metrics["valid.logloss"] == best["valid.logloss"]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["bins", "kernel"])
def test_both_kinds_train_with_weights_and_two_tasks(kind: str, log: Path, tmp_path: Path) -> None:
    config = make_config(
        tmp_path, label={"a": "click", "b": "buy"}, weight="weight", train=TRAIN | {"epochs": 2, "calibrated": kind}
    )
    found = run(log, tmp_path / "run", config)
    assert [line["stage"] for line in epochs(tmp_path / "run")] == [1, 2]
    assert 0 < found.metrics["test.a.logloss"] < 1


@pytest.mark.slow
def test_the_training_loss_is_that_of_labels_whatever_is_learned(log: Path, tmp_path: Path) -> None:
    config = make_config(tmp_path, model={"tower": "mlp", "dim": 8, "mlp": [16]}, train={"batch_size": 100})
    prepared = prepare(config, log, log / "cache")
    built = build(prepared.resolved, prepared.state, device=torch.device("cpu"))
    tasks, losses = [CtrTask(built.model, config.train, ["label"]) for _ in range(2)], []
    for task, targets in zip(tasks, (None, np.full((1600, 1), 0.5, np.float32)), strict=True):
        task.multiply_learning_rates(1e-30)
        reader = read_split(built, prepared.splits["train"], batch_size=100)
        reader.targets = targets
        task.start_epoch(iter(reader))
        for _ in range(16):
            task.train_step()
        task.pipeline.end()
        losses.append(task.mean_loss())
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)


@pytest.mark.parametrize("seed", [None, 1])
def test_a_batch_has_the_targets_of_its_own_rows(seed: int | None, log: Path, tmp_path: Path) -> None:
    config = make_config(tmp_path)
    prepared = prepare(config, log, log / "cache")
    built = build(prepared.resolved, prepared.state, device=torch.device("cpu"))
    whole = read_split(built, prepared.splits["train"], batch_size=1600)
    (rows,) = list(whole)
    reader = read_split(built, prepared.splits["train"], batch_size=128, seed=seed)
    reader.targets = rows.labels.numpy() / 2 + rows.numbers[:, :1].numpy()
    batches: list[Batch] = list(reader)
    assert all(batch.targets is not None for batch in batches)
    for batch in batches:
        assert batch.targets is not None
        torch.testing.assert_close(batch.targets, batch.labels / 2 + batch.numbers[:, :1])
    reader.targets = None
    assert next(iter(reader)).targets is None


# --- resuming ---------------------------------------------------------------------------------------------------------

STOPS = {
    "in stage 1": lambda: interrupted_in_batch(STEPS + 2),
    "before the switch is saved": lambda: interrupted_at_save(1, is_saved=False),
    "after the switch is saved": lambda: interrupted_at_save(1, is_saved=True),
    "in an epoch of targets": lambda: interrupted_in_batch(3 * STEPS + 4),
    "in the validation of an epoch of targets": lambda: interrupted_in_validation(4),
    "in an epoch of labels": lambda: interrupted_in_batch(4 * STEPS + 4),
}


@pytest.mark.slow
@pytest.mark.parametrize("where", list(STOPS))
def test_a_run_stopped_anywhere_ends_as_if_it_had_not_been(
    where: str, log: Path, calibrated: TrainResult, tmp_path: Path
) -> None:
    config = config_of(tmp_path)
    with STOPS[where]():
        run(log, tmp_path / "run", config)
    resumed = run(log, tmp_path / "run", config, resume=True)
    assert steady(resumed.metrics) == steady(calibrated.metrics)
    check_same(tmp_path / "run", calibrated.folder)


@pytest.mark.slow
def test_missing_and_damaged_targets_are_refused(log: Path, tmp_path: Path) -> None:
    config = config_of(tmp_path)
    with interrupted_in_batch(3 * STEPS + 4):
        run(log, tmp_path / "run", config)
    (path,) = (tmp_path / "run" / "checkpoints").glob("targets-*.f32")
    path.write_bytes(path.read_bytes()[:-4] + b"\0\0\0\0")
    with pytest.raises(DataError, match=r"targets-4\.f32: is damaged .* cannot be resumed without it"):
        run(log, tmp_path / "run", config, resume=True)
    path.unlink()
    with pytest.raises(DataError, match=r"targets-4\.f32: is missing; the epoch cannot be resumed without it"):
        run(log, tmp_path / "run", config, resume=True)


@pytest.mark.slow
def test_a_finished_run_keeps_no_targets(calibrated: TrainResult) -> None:
    assert not list((calibrated.folder / "checkpoints").glob("targets*"))


@pytest.mark.ranks
def test_two_ranks_have_the_figures_of_one(uneven: Path, tmp_path: Path) -> None:
    changes = {
        "weight": "weight",
        "model": {"tower": "mlp", "dim": 8, "mlp": [16]},
        "train": TRAIN | {"batch_size": 37, "epochs": 3, "dense_optimizer": {"lr": 0.001}, "checkpoint_minutes": 10.0},
    }
    alone = session(uneven, tmp_path / "alone", tmp_path / "1", changes, None, False)
    both = run_on_ranks(session, uneven, tmp_path / "both", tmp_path / "2", changes, None, False)
    assert alone.metrics is not None
    figures = {name: value for name, value in alone.metrics.items() if "test." in name}
    assert {name: both[0].metrics[name] for name in figures} == pytest.approx(figures, abs=1e-4)


# --- what is refused --------------------------------------------------------------------------------------------------

STAGED = {"all": {"features": ["user", "item"], "scheme": "dedup", "blocks": 20}}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"early_stopping": {"metric": "auc"}}, r"train.calibrated: needs `early_stopping: {metric: logloss}`"),
        ({"early_stopping": None}, r"train.calibrated: needs `early_stopping: {metric: logloss}`"),
        ({"epochs": 1}, r"train.epochs: must be at least 2 with train.calibrated"),
        ({"tables": STAGED}, r"train.calibrated: cannot be combined with tables that have stages .* all \(dedup\)"),
        ({"calibrated": "bin"}, r"train.calibrated.targets: must be one of bins, kernel, got 'bin'; did you mean"),
        ({"calibrated": {"targets": "bins", "width": 0.1}}, r"train.calibrated.width: unknown key"),
        ({"calibrated": {"targets": "kernel", "width": 0}}, r"train.calibrated.width: must be greater than 0"),
        ({"calibrated": {"every": 0}}, r"train.calibrated.every: must be at least 1"),
    ],
)
def test_what_cannot_be_calibrated_is_refused(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    tables = changes.pop("tables", {})
    path = write_config(tmp_path / "config.yaml", tables=tables, train=TRAIN | changes)
    with pytest.raises(ConfigError, match=message):
        load_config(path)


@pytest.mark.slow
def test_without_the_key_nothing_is_asked(log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cape, "CapeSchedule", None)
    run(log, tmp_path / "run", make_config(tmp_path, train={"epochs": 1}))
