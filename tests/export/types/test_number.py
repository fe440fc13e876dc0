from pathlib import Path

import numpy as np
import polars as pl

from recsys.features.transform import canonicalize, encode
from tests.export.models import ids_and_numbers, make


def test_number_transforms_round_as_numpy_does(tmp_path: Path) -> None:
    drawn = np.random.default_rng(3).lognormal(sigma=6, size=20_000) * np.random.default_rng(4).choice([-1, 1], 20_000)
    train = pl.DataFrame({"clicked": [0, 1] * 10_000, "x": drawn})
    text = """
label: clicked
features:
  plain: {type: number, column: x}
  log: {type: number, column: x, transform: log1p, normalize: standard}
  squared: {type: number, column: x, transform: log_squared, normalize: minmax}
  bare: {type: number, column: x, transform: log_squared}
model: {tower: lr}
"""
    made = make(text, train, tmp_path)
    prepared = encode(canonicalize(train, made.resolved, made.state), made.resolved, made.state)
    _, numbers = ids_and_numbers(made, train)
    for n, name in enumerate(["plain", "log", "squared", "bare"]):
        np.testing.assert_array_equal(numbers[:, n], prepared.column(name).to_numpy())
