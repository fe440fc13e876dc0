"""The factor of the learning rates at a step."""

import math

import pytest

from recsys.config import LrSchedule
from recsys.training.learning_rates import lr_factor

DECAYS = ["cosine", "linear"]


@pytest.mark.parametrize("decay", DECAYS)
@pytest.mark.parametrize("warmup", [0.0, 0.01, 0.3, 0.999])
@pytest.mark.parametrize("num_steps", [1, 2, 3, 1000])
def test_rates_rise_to_those_of_the_configuration_then_fall_and_are_never_0(
    num_steps: int, warmup: float, decay: str
) -> None:
    schedule = LrSchedule.model_validate({"decay": decay, "warmup": warmup})
    factors = [lr_factor(schedule, step=step, num_steps=num_steps) for step in range(num_steps)]
    top = factors.index(max(factors))
    assert factors[top] == 1
    assert top == max(math.floor(warmup * num_steps) - 1, 0)
    assert factors[: top + 1] == sorted(factors[: top + 1])
    assert factors[top:] == sorted(factors[top:], reverse=True)
    assert min(factors) > 0


def test_a_cosine_is_at_half_in_the_middle_and_beside_the_line_in_the_quarters() -> None:
    factors = [lr_factor(LrSchedule(warmup=0), step=step, num_steps=100) for step in (25, 50, 75)]
    assert factors == pytest.approx([0.8535534, 0.5, 0.1464466])
