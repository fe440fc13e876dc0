"""The candidates of AutoDim."""

from pathlib import Path

import pytest
import torch

from recsys.checksums import read_json
from recsys.data.prepared import Prepared
from recsys.search.methods.autodim import AutoDim, likeliest_shapes
from recsys.search.methods.base import Request
from recsys.search.sample import Sample
from recsys.search.supernet import gated_tables, shapes_applied
from recsys.training.build import LoadedModel
from recsys.training.strategy import table_weights
from tests.search.nets import build_supernet, make_prepared

FULL = 4 * 8 * (21 + 13)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return make_prepared(tmp_path_factory.mktemp("log"))


@pytest.fixture
def supernet(prepared: Prepared) -> LoadedModel:
    """A supernet in which `item` has no effect at any width, and the first block of `user` leans to 4 columns."""
    loaded = build_supernet(prepared, "autodim", num_blocks=2)
    for name, weight in table_weights(loaded.model).items():
        weight.mul_(0 if name.startswith("item") else 100)
    gated_tables(loaded)["user"].gate.get_buffer("logits").copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
    return loaded


def test_the_likeliest_widths_are_a_candidate(prepared: Prepared, supernet: LoadedModel, tmp_path: Path) -> None:
    request = Request(loaded=supernet, prepared=prepared, budgets=[FULL], state=tmp_path)
    first = next(AutoDim().candidates(request))
    assert (first.name, first.shapes["user"].widths) == ("likeliest", (4, 8))


def test_what_none_of_the_widths_is_worth_its_bytes_for_is_dropped(
    prepared: Prepared, supernet: LoadedModel, tmp_path: Path
) -> None:
    request = Request(loaded=supernet, prepared=prepared, budgets=[FULL], state=tmp_path)
    _, found = AutoDim().candidates(request)
    assert found.shapes["item"].is_dropped
    assert not found.shapes["user"].is_dropped


def test_a_block_is_cut_while_all_others_have_their_likeliest_widths(
    prepared: Prepared, supernet: LoadedModel, tmp_path: Path
) -> None:
    request = Request(loaded=supernet, prepared=prepared, budgets=[FULL], state=tmp_path)
    list(AutoDim().candidates(request))
    losses = read_json(tmp_path / "cuts.json", remedy="")
    with shapes_applied(supernet, likeliest_shapes(supernet)):
        loss = Sample(supernet, prepared.splits["valid"]).loss()
    widths = [0, 4, 8]
    assert losses["user/0"][widths.index(4)] == losses["user/1"][widths.index(8)] == loss
    assert loss not in (losses["user/0"][widths.index(8)], losses["user/1"][widths.index(4)])
