from pathlib import Path

import pytest

from recsys.config import load_config
from recsys.config.changes import given_values, parse_key, with_changes
from recsys.config.edit import REMOVED
from recsys.config.load import parse_text
from recsys.config.lr_schedules import PlateauLr
from recsys.errors import ConfigError

TEXT = "label: y\nfeatures: {a: {type: id}, b.c: {type: id}}\nmodel: {mlp: [64, 32]}\ntrain: {loss: logloss}\n"
FILES = sorted(Path(__file__).parents[2].glob("pipelines/*/*.yaml"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.parent.name)
def test_a_configuration_without_changes_is_equal_to_itself(path: Path) -> None:
    config = load_config(path)
    assert with_changes(config, {}) == config


def test_only_what_the_file_gives_is_kept() -> None:
    assert given_values(parse_text(TEXT)) == {
        "label": "y",
        "features": {"a": {"type": "id"}, "b.c": {"type": "id"}},
        "model": {"mlp": (64, 32)},
        "train": {"loss": {"name": "logloss"}},
    }


def test_sections_on_the_way_are_made_and_lists_of_json_are_tuples() -> None:
    config = with_changes(
        parse_text(TEXT),
        {
            ("train", "lr_schedule", "name"): "plateau",
            ("train", "lr_schedule", "factor"): 0.5,
            ("model", "mlp", 1): 16,
            ("tables", "t"): {"features": ["a"], "dim": 8},
        },
    )
    assert config.train.lr_schedule == PlateauLr(factor=0.5)
    assert config.model.mlp == (64, 16)  # type: ignore[attr-defined]
    assert config.tables["t"].features == ("a",)


def test_a_key_can_be_removed_as_from_a_file() -> None:
    config = parse_text(TEXT + "tables: {t: {features: [a], dim: 8}}\n")
    assert with_changes(config, {("tables", "t"): REMOVED, ("model", "mlp"): REMOVED}) == parse_text(
        TEXT.replace("mlp: [64, 32]", "")
    )


def test_another_tower_needs_none_of_the_defaults_of_the_former() -> None:
    config = parse_text("label: y\nfeatures: {a: {type: id}}\n")
    assert with_changes(config, {("model", "tower"): "autoint"}).model.tower == "autoint"


def test_a_value_that_cannot_be_is_refused_with_the_line_of_its_section() -> None:
    config = parse_text(TEXT, "shop.yaml")
    with pytest.raises(ConfigError, match=r"shop.yaml:4: train.epochs: must be at least 1, got 0"):
        with_changes(config, {("train", "epochs"): 0})


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("train.dense_optimizer.lr", ("train", "dense_optimizer", "lr")),
        ("train.lr_schedule.factor", ("train", "lr_schedule", "factor")),
        ("model.mlp[0]", ("model", "mlp", 0)),
        ("features.b.c.min_count", ("features", "b.c", "min_count")),
        ("features.new.x", ("features", "new", "x")),
        ("", ()),
        (".", (".",)),
    ],
)
def test_a_key_is_written_as_in_messages(text: str, path: tuple[str | int, ...]) -> None:
    assert parse_key(text, parse_text(TEXT)) == path
