"""What the configuration that a run keeps means if a former version wrote it."""

from pathlib import Path

import pytest

from recsys.config import Config, dump, load_run_config
from recsys.config.former import recall_defaults
from recsys.config.load import parse_text
from recsys.config.lr_schedules import ConstantLr, CosineLr, LrSchedule, PlateauLr
from recsys.errors import ConfigError

SHOP = "label: y\nfeatures: {a: {type: id}}\n"


def kept(folder: Path, text: str) -> Config:
    (folder / "config.yaml").write_text(SHOP + text)
    return load_run_config(folder / "config.yaml")


@pytest.mark.parametrize(
    ("text", "schedule"),
    [
        ("train: {lr_reduction: {factor: 0.5, patience: 1}}", PlateauLr(factor=0.5)),
        ("train: {lr_schedule: {decay: cosine, warmup: 0.1}}", CosineLr(warmup=0.1)),
        ("train: {epochs: 3}", ConstantLr()),
        ("train: {lr_schedule: {name: cosine}}", CosineLr()),
    ],
)
def test_a_file_of_a_former_version_has_the_schedule_that_the_run_had(
    text: str, schedule: LrSchedule, tmp_path: Path
) -> None:
    config = kept(tmp_path, text)
    assert config.train.lr_schedule == schedule
    assert "lr_schedule" in config.train.model_fields_set  # so that it does not follow the default
    assert parse_text(dump(config)) == config


def test_what_is_wrong_in_such_a_file_is_located(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"config\.yaml:3: train.lr_schedule.factor: must be less than 1, got 2"):
        kept(tmp_path, "train: {lr_reduction: {factor: 2}}")
    with pytest.raises(ConfigError, match=r"config\.yaml:3: train: expected a mapping, got 3"):
        kept(tmp_path, "train: 3")


@pytest.mark.parametrize(("batch_size", "rows"), [(1024, 0.1), (4096, 0.4), (512, 0.05), (65536, 6.4)])
def test_a_penalty_of_a_former_version_weighs_as_it_did(batch_size: int, rows: float, tmp_path: Path) -> None:
    """It was not scaled to the batches: of 0.1, which is what it stated, all steps had 0.1."""
    text = f"train: {{batch_size: {batch_size}, regularization: {{rows: 0.1}}}}"
    before, now = kept(tmp_path, text), kept(tmp_path, text[:-1] + ", lr_schedule: {name: cosine}}")
    assert before.train.regularization.rows == rows
    assert before.train.regularization.lambda_of(batch_size) == 0.1
    assert now.train.regularization.rows == 0.1


FORMER = """train:
  epochs: 10
  batch_size: 4096
  sparse_optimizer: {name: adagrad, lr: 0.05}
  dense_optimizer: {lr: 1e-3}
  regularization: {rows: 0}
"""


def test_a_resumed_run_keeps_the_defaults_with_which_it_began(tmp_path: Path) -> None:
    before = kept(tmp_path, FORMER)
    unstated = parse_text(SHOP + "train: {sparse_optimizer: {name: adagrad}}")
    assert recall_defaults(unstated, before).train == before.train
    stated = parse_text(SHOP + "train: {epochs: 5, dense_optimizer: {lr: 0.003}, lr_schedule: cosine}")
    recalled = recall_defaults(stated, before).train  # which differs from the run, and is then refused
    assert (recalled.epochs, recalled.dense_optimizer.lr, recalled.lr_schedule) == (5, 0.003, CosineLr())
    assert (recalled.batch_size, recalled.sparse_optimizer.lr) == (4096, 0.05)


def test_a_run_of_this_version_is_resumed_with_the_defaults_of_this_version() -> None:
    config = parse_text(SHOP)
    assert recall_defaults(config, config) == config
    other = parse_text(SHOP + "train: {lr_schedule: plateau, epochs: 7}")
    assert recall_defaults(config, other) == config
