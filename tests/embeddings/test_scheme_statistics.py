"""The statistical acceptance checks of the compression benchmark, on a made log with planted weights.

Five fields with power-law ids; the logit is the sum of a weight for each id. Slow: run by `make proof`, with figures.
"""

from functools import cache
from typing import Any

import numpy as np
import pytest
import torch

from recsys.config import Config, resolve
from recsys.data.rows import Rows
from recsys.embeddings import FeatureVocabulary, Layout
from recsys.evaluation import auc
from recsys.model import CtrModel
from recsys.training.strategy import shard
from recsys.training.task import CtrTask

pytestmark = pytest.mark.proof

SIZES = {"a": 50, "b": 500, "c": 5_000, "d": 30_000, "e": 100_000}
NUM_ROWS, NUM_TEST, BATCH, EPOCHS = 200_000, 100_000, 2_000, 2
SEEDS = (1, 2, 3)


@cache
def log(exponent: float, seed: int) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """Return ids by field (R,), most frequent first, and labels (R,); an exponent of 0 makes all ids as likely."""
    random = np.random.default_rng(seed)
    logit = np.full(NUM_ROWS + NUM_TEST, -1.0)
    ids = {}
    for name, size in SIZES.items():
        weight = np.arange(1, size + 1) ** -exponent
        picked = random.choice(size, NUM_ROWS + NUM_TEST, p=weight / weight.sum())
        logit += random.normal(0, 1, size)[picked]
        ids[name] = torch.as_tensor(picked)
    labels = random.random(len(logit)) < 1 / (1 + np.exp(-logit))
    return ids, torch.as_tensor(labels).float()


@cache
def fitted(scheme: str, budget: float | None, *, seed: int, exponent: float = 1.2, **keys: Any) -> float:
    """Train one table that holds all fields and return the AUC on rows that were not seen."""
    ids, labels = log(exponent, seed)
    table = {"features": ["*"], "scheme": scheme, **keys} | ({} if budget is None else {"budget": budget})
    content: dict[str, Any] = {"label": "y", "features": {name: {"type": "id"} for name in SIZES}}
    content["tables"] = {"all": table}
    content["model"] = {"tower": "mlp", "dim": 16, "mlp": [32]}
    content["train"] = {"sparse_optimizer": {"name": "adagrad", "lr": 0.05}, "dense_optimizer": {"lr": 0.003}}
    resolved = resolve(Config.model_validate(content, strict=False), [])
    torch.manual_seed(seed)
    vocabularies = {name: FeatureVocabulary(name, size) for name, size in SIZES.items()}
    layout = Layout(resolved, vocabularies, jagged=False, regularized=False)
    model = shard(CtrModel(resolved, layout), resolved.config.train.sparse_optimizer, device=torch.device("cpu"))
    task = CtrTask(model, resolved.config.train, ["label"])

    def batch(rows: slice) -> Any:
        single = {name: picked[rows] for name, picked in ids.items()}
        count = len(labels[rows])
        return layout.collate(Rows(single, {}, torch.zeros(count, 0), labels[rows, None], None, None, count, count))

    for _ in range(EPOCHS):
        for start in range(0, NUM_ROWS, BATCH):
            task.train_on(batch(slice(start, start + BATCH)))
    task.model.eval()
    with torch.no_grad():
        scores = [model(batch(slice(at, at + 10_000))).logits[:, 0] for at in range(NUM_ROWS, len(labels), 10_000)]
    return auc(torch.cat(scores).double().numpy(), labels[NUM_ROWS:].numpy())


def mean(scheme: str, budget: float | None, **keys: Any) -> float:
    return float(np.mean([fitted(scheme, budget, seed=seed, **keys) for seed in SEEDS]))


def spearman(a: list[float], b: list[float]) -> float:
    ranks = [np.argsort(np.argsort(values)) for values in (a, b)]
    return float(np.corrcoef(*ranks)[0, 1])


@pytest.mark.parametrize("scheme", ["hash", "qr", "tt_rec", "robe", "unified"])
def test_auc_falls_with_the_budget(scheme: str) -> None:
    budgets = [0.1, 0.03, 0.01, 0.003, 0.001]  # above a tenth nothing is lost on this log, and the order is chance
    if scheme == "tt_rec":
        budgets = [0.03, 0.01, 0.003, 0.001, 0.0005]  # the work grows with the square of the rank
    if scheme == "qr":
        budgets = [0.5, 0.2, 0.1, 0.04, 0.015]
    # The published form; with one divisor it reaches about 0.011.
    keys = {"per_feature": True} if scheme == "qr" else {}
    aucs = [mean(scheme, budget, **keys) for budget in budgets]
    print(
        f"\n{scheme}: full {mean('full', None):.4f}; "
        + ", ".join(f"{b:g}: {a:.4f}" for b, a in zip(budgets, aucs, strict=True))
    )
    assert spearman(budgets, aucs) >= 0.8


def test_qr_beats_hash_and_robe_is_like_it() -> None:
    for budget in (0.1, 0.015):
        shared, robe = mean("hash", budget, hashing="random"), mean("robe", budget)
        apart, qr = mean("hash", budget, hashing="random", per_feature=True), mean("qr", budget, per_feature=True)
        print(f"\n{budget:g}: hash {shared:.4f}, robe {robe:.4f}; a table a feature: hash {apart:.4f}, qr {qr:.4f}")
        assert qr >= apart - 0.002
        assert abs(robe - shared) < 0.02


def test_frequent_ids_of_their_own_help_where_some_are_frequent() -> None:
    skewed = [mean("adaptemb", 0.05) - mean("hash", 0.05, hashing="random", per_feature=True)]
    hashed = mean("hash", 0.05, hashing="random", per_feature=True, exponent=0.0)
    uniform = [mean("adaptemb", 0.05, exponent=0.0) - hashed]
    print(f"\nadaptemb - hash at 0.05: power law {skewed[0]:+.4f}, uniform {uniform[0]:+.4f}")
    assert skewed[0] >= 0
    assert uniform[0] < max(0.01, skewed[0])


def test_int16_and_alpt_are_as_good_as_full_and_a_bad_scale_is_not() -> None:
    full = mean("full", None)
    int16, alpt = mean("int16", None), mean("alpt", None)
    coarse = mean("int8", None, scale=0.5)
    print(f"\nfull {full:.4f}, int16 {int16:.4f}, alpt 8 {alpt:.4f}, int8 with scale .5 {coarse:.4f}")
    assert int16 > full - 0.001
    assert alpt > full - 0.001
    assert coarse < full - 0.005
