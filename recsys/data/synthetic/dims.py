"""Synthetic click log whose id columns need 16, 8, 4 and 0 dimensions, to try searches for dimensions on.

A row has 16 traits, numbers that are -1 or 1, and five ids. The click probability is the logistic of a sum of

    rich, middle, narrow   the product of a vector of the id with the traits; the vectors of a column span 16, 8 and 4
                           dimensions, all of them equally important, so that a narrower table loses something
    noisy                  an effect of the id itself; 9 in 10 ids have none
    useless                nothing

No effect depends on how frequent an id is: frequent ids differ from rare ones only in how well they can be learnt.

Dimension key: R rows of a chunk, I ids of a column, K dimensions that it needs, T traits.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from recsys.data.synthetic.log import Floats, SyntheticLog, write_log
from recsys.data.synthetic.shop import zipf
from recsys.progress import OnProgress, no_progress

__all__ = ["NEEDED_DIMS", "NUM_IDS", "NUM_NOISY", "NUM_TRAITS", "Dims", "generate_dims"]

Ints = npt.NDArray[np.integer[Any]]

NEEDED_DIMS = {"rich": 16, "middle": 8, "narrow": 4, "useless": 0}
"""Dimensions that the vectors of each column span."""
STRENGTH = {"rich": 1.6, "middle": 1.0, "narrow": 0.7, "useless": 0.0}
"""Standard deviation of each column's effect on the logit."""
NUM_TRAITS = 16
NUM_IDS, NUM_NOISY = 150, 1_500
"""Ids of each of these columns, and of `noisy`."""
NOISY_EFFECT = 1.5

CONFIG = """\
# A synthetic click log whose id columns need different dimensions; see README.md for what was planted in it.
label: clicked
features:
  rich: {type: id}
  middle: {type: id}
  narrow: {type: id}
  useless: {type: id}
  noisy: {type: id}
  "trait_*": {type: number}
data: {train: train/*.parquet, valid: valid.parquet, test: test.parquet}
model: {tower: mlp, dim: 32, mlp: [128, 64], activation: relu}
train:
  epochs: 12
  batch_size: 512
  seed: 1
  sparse_optimizer: {name: adagrad, lr: 0.05}
  dense_optimizer: {name: adam, lr: 1.0e-3}
  regularization: {rows: 0.25}
  lr_schedule: constant
"""

ABOUT = f"""\
# A synthetic click log whose id columns need different dimensions

For searches that ask which widths, rows and features of the tables are worth their bytes. `clicked` is 1 with a
probability that follows from the other columns alone: five ids, and {NUM_TRAITS} traits, which are -1 or 1.

| column | ids | effect | dims that it needs |
|---|---|---|---|
| `rich` | {NUM_IDS} | each id weighs all traits in its own way | 16 |
| `middle` | {NUM_IDS} | the same, but the weights of all ids lie in a space of 8 dimensions | 8 |
| `narrow` | {NUM_IDS} | the same, 4 dimensions | 4 |
| `useless` | {NUM_IDS} | none | 0 |
| `noisy` | {NUM_NOISY:,} | a tenth of the ids raise or lower the rate of clicks, the others do nothing | 1 |

`truth.json` lists the ids of `noisy` that have an effect. No effect depends on how frequent an id is.

    recsys train config.yaml --data-dir .
    recsys search config.yaml --method nested --budget 0.25 --data-dir .
"""


class Dims:
    """The recipe: what every id does, drawn from the seed."""

    def __init__(self, *, rows: int, seed: int) -> None:
        self.rows = rows
        self.seed = seed
        random = np.random.default_rng([seed, 0])
        self.weights = {name: _trait_weights(name, random) for name in NEEDED_DIMS}
        """Logit of each id for each trait (I, T)."""
        self.noisy_effect = _noisy_effect(random)

    def columns(self, first_row: int, num_rows: int, random: np.random.Generator) -> tuple[dict[str, pa.Array], Floats]:
        """Return the columns of some rows, and the probability of a click in each of them."""
        del first_row  # nothing changes with time
        trait_TR = random.choice(np.array([-1.0, 1.0]), (NUM_TRAITS, num_rows))
        logit = np.full(num_rows, -0.5)
        columns: dict[str, pa.Array] = {}
        for name, weight_IT in self.weights.items():
            id_R = _draw_ids(NUM_IDS, 0.5, num_rows, random)
            logit += np.einsum("rt,tr->r", weight_IT[id_R], trait_TR)
            columns[name] = pa.array(id_R)
        id_R = _draw_ids(NUM_NOISY, 0.3, num_rows, random)
        logit += self.noisy_effect[id_R]
        columns["noisy"] = pa.array(id_R)
        columns |= {f"trait_{t + 1:02}": pa.array(trait_TR[t].astype(np.int8)) for t in range(NUM_TRAITS)}
        return columns, 1 / (1 + np.exp(-logit))


def generate_dims(folder: Path, *, rows: int, seed: int = 1, on_progress: OnProgress = no_progress) -> SyntheticLog:
    """Write a click log whose id columns need 16, 8, 4 and 0 dimensions, with a config.yaml to train on it.

    Args:
        folder: new or empty.
        rows: number of rows in all; the last tenth is the test split, the tenth before it the validation split.
        seed: seed of all random numbers; the same arguments give the same rows.
        on_progress: called after each chunk of rows.

    Raises:
        DataError: `folder` holds something, or there are too few rows.
    """
    recipe = Dims(rows=rows, seed=seed)
    facts = {
        "shape": "dims",
        "rows": rows,
        "seed": seed,
        "needed_dims": NEEDED_DIMS,
        "noisy_ids_that_matter": np.flatnonzero(recipe.noisy_effect).tolist(),
    }
    return write_log(recipe, folder, config=CONFIG, about=ABOUT, facts=facts, on_progress=on_progress)


def _trait_weights(name: str, random: np.random.Generator) -> Floats:
    """Return the weights of a column's ids (I, T), which span as many dimensions as the column needs."""
    num_dims = NEEDED_DIMS[name]
    basis_TT, _ = np.linalg.qr(random.normal(0, 1, (NUM_TRAITS, NUM_TRAITS)))
    vector_IK = random.normal(0, STRENGTH[name] / max(num_dims, 1) ** 0.5, (NUM_IDS, num_dims))
    weight_IT: Floats = vector_IK @ basis_TT[:num_dims]
    return weight_IT


def _noisy_effect(random: np.random.Generator) -> Floats:
    """Return the logit of each id of `noisy`: every tenth has an effect, so that rare and frequent ones do alike."""
    effect = random.choice(np.array([-NOISY_EFFECT, NOISY_EFFECT]), NUM_NOISY)
    return np.where(np.arange(NUM_NOISY) % 10 == 0, effect, 0.0)


def _draw_ids(num_ids: int, exponent: float, num_rows: int, random: np.random.Generator) -> Ints:
    cumulative = zipf(num_ids, exponent).cumsum()
    id_R: Ints = np.searchsorted(cumulative, random.random(num_rows) * cumulative[-1])
    return id_R
