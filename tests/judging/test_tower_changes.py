from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from recsys.data.prepared import PreparedSplit
from recsys.data.reader import Reader
from recsys.data.rows import Jagged, Rows
from recsys.judging.tower_changes import permute, places_of, take_away
from recsys.judging.units import units_of
from recsys.training.build import LoadedModel
from recsys.training.inspect import tower_batches
from tests.judging.rich_log import CHANGES, FEATURES
from tests.training.untrained import untrained

MODELS: dict[str, dict[str, Any]] = {
    "mlp": {"tower": "mlp", "dim": 8, "mlp": [8]},
    "autoint": {"tower": "autoint", "dim": 8, "layers": 1, "heads": 2, "attention_dim": 8},
    "din": {"tower": "din", "dim": 8, "attention": [6], "mlp": [8]},
}


WITHOUT_TARGET: dict[str, Any] = {
    "of_events": {"type": "sequence", "column": "clicked_categories", "behaviour": "clicks", "max_len": 10},
    "alone": {"type": "sequence", "column": "tags", "max_len": 3},
}


def permuted_rows(loaded: LoadedModel, rows: Rows, features: Collection[str], order: Tensor) -> Rows:
    """Permute what is prepared of some features, row by row."""
    fields = [field for field in loaded.resolved.fields if field.feature in features]
    single, lists, numbers = dict(rows.single), dict(rows.lists), rows.numbers.clone()
    names = [field.name for field in loaded.resolved.fields_of_kind("number")]
    for name in (field.name for field in fields):
        if name in single:
            single[name] = single[name][order]
        elif name in lists:
            parts = lists[name].values.split(lists[name].lengths.tolist())
            lists[name] = Jagged(torch.cat([parts[row] for row in order]), lists[name].lengths[order])
        else:
            numbers[:, names.index(name)] = numbers[order, names.index(name)]
    return replace(rows, single=single, lists=lists, numbers=numbers)


def all_rows(loaded: LoadedModel, split: PreparedSplit) -> Rows:
    return next(iter(Reader(split, loaded.resolved, batch_size=10**6, collate=lambda rows: rows, seed=None)))


@pytest.mark.parametrize("more", [{}, WITHOUT_TARGET], ids=["", "histories without target"])
@pytest.mark.parametrize("model", MODELS)
def test_permuting_what_the_tower_reads_is_permuting_the_ids(
    rich_log: Path, tmp_path: Path, model: str, more: dict[str, Any]
) -> None:
    changes = CHANGES | {"features": FEATURES | more}
    loaded, split = untrained(rich_log, tmp_path, **changes, model=MODELS[model])
    loaded.model.eval()
    rows = all_rows(loaded, split)
    order = torch.randperm(split.num_rows, generator=torch.Generator().manual_seed(1))
    [(_, fed)] = tower_batches(loaded, split)
    for unit in units_of(loaded.resolved):
        expected = loaded.model(loaded.layout.collate(permuted_rows(loaded, rows, unit.all, order))).logits
        found = loaded.model.module.tower(*permute(fed, places_of(loaded, unit.all), order))
        assert torch.equal(found, expected), unit.name
        assert not torch.equal(found, loaded.model.module.tower(*fed)), unit.name


def test_what_is_taken_away_is_the_mean_and_an_empty_history(rich_log: Path, tmp_path: Path) -> None:
    loaded, split = untrained(rich_log, tmp_path, **CHANGES, model=MODELS["din"])
    [(_, fed)] = tower_batches(loaded, split)
    without = take_away(fed, places_of(loaded, ["category", "price", "clicked_items", "clicked_categories"]))
    changed = (without.fields != fed.fields).any(dim=0)
    assert int(changed.sum()) == 8  # the width of category
    torch.testing.assert_close(without.fields.mean(dim=0), fed.fields.mean(dim=0))
    torch.testing.assert_close(without.numbers, fed.numbers.mean(dim=0, keepdim=True).expand_as(fed.numbers))
    [target], [old] = [one.target for one in without.behaviours], [one.target for one in fed.behaviours]
    assert torch.equal(target[:, :8], old[:, :8])  # item_id
    torch.testing.assert_close(target[:, 8:], old[:, 8:].mean(dim=0, keepdim=True).expand_as(old[:, 8:]))
    [behaviour] = without.behaviours
    assert (len(behaviour.history), int(behaviour.lengths.sum()), len(behaviour.lengths)) == (0, 0, split.num_rows)


def test_every_input_of_the_tower_is_that_of_some_feature(rich_log: Path, tmp_path: Path) -> None:
    loaded, split = untrained(rich_log, tmp_path, **CHANGES, model=MODELS["din"])
    [(_, fed)] = tower_batches(loaded, split)
    places = places_of(loaded, list(FEATURES))
    assert places.fields.tolist() == list(range(fed.fields.shape[1]))
    assert places.numbers.tolist() == [0]
    assert [columns.tolist() for columns in places.targets] == [list(range(16))]
    assert places.histories == [True]
