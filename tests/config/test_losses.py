import pytest

from recsys.config import dump
from recsys.config.losses import CustomLoss
from recsys.config.losses.logloss import LogLossSection
from tests.config.loading import Load, Problems

HEAD = "label: y\nfeatures: {a: {type: id}}\n"


@pytest.mark.parametrize("train", ["{}", "{loss: logloss}", "{loss: {name: logloss}}"])
def test_a_loss_is_a_name_or_a_mapping_and_log_loss_by_default(train: str, load: Load) -> None:
    config = load(f"{HEAD}train: {train}\n")
    assert config.train.loss == LogLossSection()
    assert "  loss:\n    name: logloss\n" in dump(config)
    assert load(dump(config)) == config


def test_a_loss_of_the_users_own_is_named_by_its_class_and_keeps_its_keys(load: Load) -> None:
    loss = load(f"{HEAD}train: {{loss: {{name: 'no_such_module:Focal', gamma: 2}}}}\n").train.loss
    assert isinstance(loss, CustomLoss)
    assert loss.parameters() == {"gamma": 2}


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        ("logloss2", "train.loss.name: must be one of logloss, package.module:Class, got 'logloss2'; did you mean"),
        ("{name: logloss, gamma: 2}", "train.loss.gamma: unknown key for name logloss"),
        ("3", "train.loss: expected a mapping such as {name: logloss}, got 3"),
    ],
)
def test_what_is_no_loss_is_refused_with_its_place(loss: str, message: str, problems: Problems) -> None:
    (_, found) = problems(f"{HEAD}train: {{loss: {loss}}}\n")
    assert message in found
