"""What the configuration that a run keeps means if a former version wrote it."""

from pathlib import Path

import pytest

from recsys.config import Config, TrainSection, dump, load_run_config
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


def under_other_defaults(text: str) -> Config:
    """Return a configuration as if the default were a cosine."""
    config = parse_text(SHOP + text)
    values = {"lr_schedule": CosineLr()} | {key: getattr(config.train, key) for key in config.train.model_fields_set}
    return config.replaced(train=TrainSection.model_construct(config.train.model_fields_set, **values))


def test_a_resumed_run_keeps_the_default_with_which_it_began() -> None:
    before = parse_text(SHOP)
    assert recall_defaults(under_other_defaults("train: {epochs: 3}"), before).train.lr_schedule == ConstantLr()
    stated = under_other_defaults("train: {lr_schedule: cosine}")
    assert recall_defaults(stated, before).train.lr_schedule == CosineLr()  # which is then refused
    other = parse_text(SHOP + "train: {lr_schedule: plateau}")
    assert recall_defaults(under_other_defaults(""), other).train.lr_schedule == CosineLr()
