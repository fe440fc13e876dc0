"""Two ranks train an MLP of hashed ids as one process does that reads what both read."""

from typing import Any

import pytest
import torch
from torch import Tensor

from recsys.config.schemes.dhe import DheTable
from recsys.embeddings import FeatureVocabulary
from recsys.embeddings.schemes.dhe import Dhe
from recsys.ranks import current_world
from tests.ranks.run_on_ranks import run_on_ranks

pytestmark = pytest.mark.ranks

STEPS = {
    "some ids on both": [[3, 1, 1, 8], [1, 8, 20, 20, 7]],
    "all ids on both": [[3, 1, 5], [5, 1, 3]],
    "no id on a rank": [[], [4, 9, 9, 2]],
    "one id in all": [[6], [6, 6]],
    "two ids in all": [[6], [7, 6]],
    "no id at all": [[], []],
}


def train(steps: dict[str, list[list[int]]]) -> dict[str, dict[str, Tensor]]:
    """Return outputs, gradients and moving averages after a step on this rank's ids, or alone on all of them."""
    return {name: _step(parts) for name, parts in steps.items()}


def _step(parts: list[list[int]]) -> dict[str, Tensor]:
    torch.manual_seed(0)
    spec = DheTable(features=("item",), scheme="dhe", width=6, hashes=16, layers=2)
    scheme = Dhe("t", [FeatureVocabulary("item", None)], 4, spec).double()
    world = current_world()
    mine = [i for part in parts for i in part] if world.size == 1 else parts[world.rank]
    before = sum(map(len, parts[: world.rank])) if world.size > 1 else 0
    slope = torch.randn(100, 4, generator=torch.Generator().manual_seed(1))[before : before + len(mine)]
    vectors = scheme.combine([], torch.tensor(mine, dtype=torch.int64), 0)
    (vectors * slope).sum().backward()
    gradients: dict[str, Any] = {f"gradient of {name}": p.grad for name, p in scheme.named_parameters()}
    return {"vectors": vectors.detach(), **gradients, **dict(scheme.named_buffers())}


@pytest.fixture(scope="module")
def outcomes() -> list[dict[str, dict[str, Tensor]]]:
    torch.set_default_dtype(torch.float64)  # hashes are made in it, and the vectors of a step are
    try:
        return [train(STEPS), *run_on_ranks(train_in_float64, STEPS)]
    finally:
        torch.set_default_dtype(torch.float32)


def train_in_float64(steps: dict[str, list[list[int]]]) -> dict[str, dict[str, Tensor]]:
    torch.set_default_dtype(torch.float64)
    return train(steps)


@pytest.mark.parametrize("name", STEPS)
def test_an_id_counts_once_on_however_many_ranks_it_is_used(
    name: str, outcomes: list[dict[str, dict[str, Tensor]]]
) -> None:
    alone, first, second = (outcome[name] for outcome in outcomes)
    for key, expected in alone.items():
        if key == "vectors":
            found = torch.cat([first[key], second[key]])
        elif key.startswith("gradient"):
            found = first[key] + second[key]
        else:
            assert torch.equal(first[key], second[key]), key
            found = first[key]
        torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6, msg=lambda text, key=key: f"{key}: {text}")
