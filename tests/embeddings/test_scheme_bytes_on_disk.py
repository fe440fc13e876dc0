"""What a scheme says of its bytes, held against files: the checkpoint of a run and the exported form."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from recsys.checkpoint import saver
from recsys.config.schemes import SCHEMES
from recsys.embeddings import Layout
from recsys.export.torchscript import save, script, with_own_storage
from recsys.testing.tiny_tables import final_weights, sharded

NUM_IDS = {"user": 150_000, "item": 40_000, "tags": 10_000}
HEADER = 4_000
"""Bytes that a file may hold beside each of its tensors: its name, shape and place."""
CODE = 40_000
"""Bytes of the program of one exported form."""


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(SCHEMES))
def test_bytes_are_those_of_the_files(make_layout: Callable[..., Layout], tmp_path: Path, name: str) -> None:
    section = SCHEMES[name]
    example = next(iter(section.examples.values()))
    keys: dict[str, Any] = {key: example[key] for key in section.needed_keys()}
    budget: dict[str, Any] = {} if section.size_param is None else {"budget": 0.5}
    table = {"features": ["user", "item", "tags"], "scheme": name, "dim": 16, **keys, **budget}
    layout = make_layout({"all": table}, num_ids=NUM_IDS)
    model = sharded(layout, optimizer="rowwise_adagrad")
    weights = final_weights(model, layout)
    schemes = list(layout.schemes.values())
    dense = torch.optim.SGD([p for scheme in schemes for p in scheme.parameters()] or [torch.zeros(1)])
    saver.save(tmp_path / "last", model, dense, {})
    stored = sum(path.stat().st_size for path in (tmp_path / "last").iterdir())
    told = sum(scheme.bytes("checkpoint", sparse="rowwise_adagrad", dense="sgd") for scheme in schemes)
    num_tensors = 2 * len(layout.physical_tables) + sum(len(scheme.state_dict()) for scheme in schemes)
    assert told * 0.99 < stored < told * 1.01 + HEADER * num_tensors
    for i, scheme in enumerate(schemes):
        save(script(with_own_storage(scheme.serving(weights).eval())), tmp_path / f"{i}.pt")
    served = sum((tmp_path / f"{i}.pt").stat().st_size for i in range(len(schemes)))
    told = sum(scheme.bytes("serving", sparse="rowwise_adagrad", dense="sgd") for scheme in schemes)
    assert told * 0.99 < served < told * 1.01 + CODE * len(schemes)
