"""Why exported models are never frozen."""

import re
from pathlib import Path

import pytest
import torch

import recsys
from recsys.export import script
from recsys.towers.layers import Mlp

ROWS = torch.randn(50, 8, generator=torch.Generator().manual_seed(1)) * 3 + 2


@pytest.fixture
def layers() -> Mlp:
    """Return two layers with Dice between them, as DIN has them, whose moving averages are those of rows."""
    torch.manual_seed(0)
    made = Mlp(8, (16,), num_outputs=1, activation="dice")
    for _ in range(20):
        made(torch.randn(64, 8) * 3 + 2)
    return made.eval().requires_grad_(requires_grad=False)


@pytest.mark.filterwarnings("ignore:`torch.jit")
def test_freezing_folds_the_normalization_of_dice_into_a_layer_that_is_read_twice(layers: Mlp) -> None:
    """torch 2.13; if this fails, freezing may have become right, and may be worth another look."""
    expected, scripted = layers(ROWS), script(layers)
    assert torch.allclose(scripted(ROWS), expected, atol=1e-5)
    for frozen in (torch.jit.freeze(scripted), torch.jit.optimize_for_inference(script(layers))):
        assert float((frozen(ROWS) - expected).abs().max()) > 1
    unfolded = torch.jit.freeze(script(layers), optimize_numerics=False)
    assert torch.allclose(unfolded(ROWS), expected, atol=1e-5)


def test_nothing_in_the_package_freezes_a_model() -> None:
    calls = re.compile(r"\b(jit\.freeze|optimize_for_inference|run_frozen_optimizations)\b")
    sources = Path(recsys.__file__).parent.rglob("*.py")
    assert [path.name for path in sources if calls.search(path.read_text(encoding="utf-8"))] == []
