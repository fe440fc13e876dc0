"""A click log whose probabilities are known: a few numbers and ids decide, and most of it is chance."""

import numpy as np
import numpy.typing as npt
import polars as pl

NUMBERS, USERS = 12, 50


def draw(num_rows: int, *, seed: int) -> tuple[pl.DataFrame, npt.NDArray[np.float64]]:
    """Return rows and their probabilities, about .25 in the mean."""
    fixed, random = np.random.default_rng(0), np.random.default_rng(seed + 1)
    slopes, traits = fixed.normal(0, 0.5, (2, NUMBERS)), fixed.normal(0, 0.7, USERS)
    numbers, user = random.normal(size=(num_rows, NUMBERS)), random.integers(0, USERS, num_rows)
    logit = numbers @ slopes[0] * np.tanh(numbers @ slopes[1]) + traits[user] - 1.5
    probability = 1 / (1 + np.exp(-logit))
    columns = {f"n{i}": numbers[:, i] for i in range(NUMBERS)}
    click = (random.random(num_rows) < probability).astype(np.int8)
    return pl.DataFrame({**columns, "user": user, "click": click}), probability
