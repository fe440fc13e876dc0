"""Tables of 16 bits: they train, are served as they were evaluated, and are as large as is said."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from recsys.config.schemes import SCHEMES
from recsys.embeddings import Layout
from recsys.export.torchscript import save, script, with_own_storage
from recsys.testing.schemes import BATCH, FORMS, looked_up, scheme_cases, served
from recsys.testing.tiny_tables import final_weights, sharded
from recsys.training.strategy import table_weights

HALVED = {
    name: case
    for name, case in scheme_cases().items()
    if SCHEMES[case["scheme"]].has_rows and SCHEMES[case["scheme"]].takes_fp16
}
NUM_IDS = {"user": 15_000, "item": 4_000, "tags": 1_000}
CODE = 40_000
"""Bytes of the program of one exported form."""

Make = Callable[..., Layout]


def halved(make_layout: Make, case: dict[str, Any], **form: Any) -> Layout:
    return make_layout({"all": {"features": ["user", "item", "tags"], **case, "precision": "fp16"}}, **form)


@pytest.mark.parametrize("form", sorted(FORMS))
@pytest.mark.parametrize("name", sorted(HALVED))
def test_lookup_equals_the_serving_form(make_layout: Make, name: str, form: str) -> None:
    layout = halved(make_layout, HALVED[name], **FORMS[form])
    model = sharded(layout).eval()
    weights = final_weights(model, layout)
    assert {weight.dtype for weight in weights.values()} == {torch.float16}
    batch = layout.collate(BATCH)
    with torch.no_grad():
        for field, got in looked_up(model, layout, batch).items():
            each = served(layout, weights, field, batch.ids[field])
            if layout.field_lookups[field].form == "bag":
                each = torch.stack([part.sum(dim=0) for part in each.split(batch.lengths[field].tolist())])
            assert got.dtype == each.dtype == torch.float32
            torch.testing.assert_close(got, each, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", sorted(HALVED))
def test_the_serving_form_scripts_and_is_as_large_as_it_says(make_layout: Make, tmp_path: Path, name: str) -> None:
    section = SCHEMES[HALVED[name]["scheme"]]
    size = {} if section.size_param is None else {"budget": 0.25}
    kept = ("scheme", *section.needed_keys())
    case = {key: value for key, value in HALVED[name].items() if key in kept} | size | {"dim": 16}
    layout = halved(make_layout, case, num_ids=NUM_IDS)
    weights = final_weights(sharded(layout), layout)
    schemes = list(layout.schemes.values())
    for i, scheme in enumerate(schemes):
        scripted = script(with_own_storage(scheme.serving(weights).eval()))
        save(scripted, tmp_path / f"{i}.pt")
    stored = sum((tmp_path / f"{i}.pt").stat().st_size for i in range(len(schemes)))
    told = sum(scheme.bytes("serving", sparse="adagrad", dense="sgd") for scheme in schemes)
    assert told * 0.99 < stored < told * 1.01 + CODE * len(schemes)


@pytest.mark.parametrize(("optimizer", "state"), [("sgd", 0), ("rowwise_adagrad", 4), ("adagrad", 4 * 8)])
def test_training_bytes_are_half_rows_and_whole_state(make_layout: Make, optimizer: str, state: int) -> None:
    layout = make_layout({"all": {"features": ["user"], "precision": "fp16", "dim": 8}})
    (scheme, *_) = layout.schemes.values()
    assert scheme.bytes("training", sparse=optimizer, dense="adam") == 10 * (8 * 2 + state)
    assert scheme.serving_bytes() == 10 * 8 * 2
    model = sharded(layout, optimizer=optimizer)
    kept = model.fused_optimizer.state_dict()["state"]["lookup.pooled.embedding_bags.all_table.weight"]
    held = [value.local_shards()[0].tensor if hasattr(value, "local_shards") else value for value in kept.values()]
    assert sum(tensor.numel() * tensor.element_size() for tensor in held) == 10 * state


@pytest.mark.parametrize("optimizer", ["sgd", "rowwise_adagrad", "adagrad"])
def test_rows_of_16_bits_learn_what_rows_of_32_learn(make_layout: Make, optimizer: str) -> None:
    found = []
    for precision in ("fp32", "fp16"):
        layout = make_layout({"all": {"features": ["user"], "precision": precision, "dim": 8}})
        model = sharded(layout, optimizer=optimizer, lr=0.1 if optimizer == "sgd" else 0.5)
        batch = layout.collate(BATCH)
        for _ in range(30):
            (looked_up(model, layout, batch)["user"] - 1).square().sum().backward()
        found.append(table_weights(model)["all_table"].float())
    assert (found[0][0] - 1).abs().max() < 0.2
    torch.testing.assert_close(found[1], found[0], rtol=0, atol=5e-3)


def test_small_parts_of_a_table_are_as_precise_as_it_is(make_layout: Make) -> None:
    layout = halved(make_layout, {"scheme": "unified", "rows": 11, "exact_below": 9})
    assert {scheme.spec.precision for scheme in layout.schemes.values()} == {"fp16"}
    assert len(layout.physical_tables) == 3  # one for the user's ids, one each for the small vocabularies
