"""The factors by which schedules multiply the learning rates, and how they are written."""

import math

import pytest

from recsys.config import TrainSection
from recsys.config.lr_schedules import LR_SCHEDULES, CosineLr, PlateauLr
from tests.config.loading import Load, Problems

SHOP = "label: clicked\nfeatures: {user: {type: id}}\n"


@pytest.mark.parametrize("name", ["cosine", "linear"])
@pytest.mark.parametrize("warmup", [0.0, 0.01, 0.3, 0.999])
@pytest.mark.parametrize("num_steps", [1, 2, 3, 1000])
def test_rates_rise_to_those_of_the_configuration_then_fall_and_are_not_0(
    num_steps: int, warmup: float, name: str
) -> None:
    schedule = LR_SCHEDULES[name].model_validate({"warmup": warmup})
    factors = [schedule.step_factor(step, num_steps) or 0.0 for step in range(num_steps)]
    top = factors.index(max(factors))
    assert factors[top] == 1
    assert top == max(math.floor(warmup * num_steps) - 1, 0)
    assert factors[: top + 1] == sorted(factors[: top + 1])
    assert factors[top:] == sorted(factors[top:], reverse=True)
    assert min(factors) > 0


def test_a_cosine_is_at_half_in_the_middle_and_beside_the_line_in_the_quarters() -> None:
    factors = [CosineLr(warmup=0).step_factor(step, 100) for step in (25, 50, 75)]
    assert factors == pytest.approx([0.8535534, 0.5, 0.1464466])


def test_rates_of_a_plateau_are_reduced_after_every_patience_epochs_without_improvement() -> None:
    factors = [PlateauLr(factor=0.5, patience=2).epoch_factor(waited) for waited in range(6)]
    assert factors == [1, 1, 0.5, 1, 0.5, 1]


@pytest.mark.parametrize("name", ["constant", "plateau"])
def test_schedules_that_do_not_set_the_rates_of_each_step_leave_them_as_they_are(name: str) -> None:
    assert LR_SCHEDULES[name]().step_factor(3, 10) is None


def test_a_name_stands_for_a_mapping_and_a_mapping_without_name_for_the_default(load: Load) -> None:
    assert load(SHOP + "train: {lr_schedule: cosine}").train.lr_schedule == CosineLr()
    default = TrainSection().lr_schedule
    assert default == load(SHOP).train.lr_schedule == load(SHOP + "train: {lr_schedule: {}}").train.lr_schedule
    assert default.name == LR_SCHEDULES.default
    assert default == CosineLr()


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("lr_schedule: {name: cosine, factor: 0.1}", "lr_schedule.factor: unknown key for name cosine; it belongs to"),
        ("lr_schedule: null", "lr_schedule: expected a mapping such as {name: cosine}, got null"),
        ("lr_schedule: cosin", "lr_schedule.name: must be one of cosine, linear, plateau, constant, got 'cosin'"),
        (
            "lr_reduction: {factor: 0.1}",
            "lr_reduction: unknown key; it is now called lr_schedule: write `lr_schedule: {name: plateau, ",
        ),
    ],
)
def test_what_is_no_schedule_is_refused_with_what_is(line: str, problem: str, problems: Problems) -> None:
    _, found = problems(f"{SHOP}train: {{{line}}}")
    assert found.startswith(f"shop.yaml:3: train.{problem}")
