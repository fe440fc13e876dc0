from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from recsys.data.prepared import PreparedSplit
from recsys.data.reader import Reader
from recsys.embeddings import Batch
from recsys.errors import ConfigError, DataError
from recsys.training import inspect
from recsys.training.build import LoadedModel
from recsys.training.inspect import HistoryWeights, field_attention, history_weights
from tests.training.logs import BASE
from tests.training.untrained import untrained

AUTOINT = {"tower": "autoint", "dim": 8, "layers": 2, "heads": 2, "attention_dim": 8, "attention_dropout": 0.5}
DIN = {"tower": "din", "dim": 8, "attention": [6], "mlp": [8]}


def whole(built: LoadedModel, split: PreparedSplit) -> Batch:
    return next(iter(Reader(split, built.resolved, batch_size=10**6, collate=built.layout.collate, seed=None)))


def test_field_attention_is_the_mean_over_rows_whatever_the_batches(
    log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built, split = untrained(log, tmp_path, model=AUTOINT)
    built.model.eval()
    core = built.model.module
    with torch.no_grad():
        fed = core.tower_batch(whole(built, split))
        expected = torch.stack(core.tower.attention_maps(fed.fields, fed.numbers)).mean(dim=1)
    built.model.train()
    monkeypatch.setattr(inspect, "EVALUATION_ROWS", 150)  # of 400 rows: the last batch is shorter
    maps, names = field_attention(built, split)
    assert names == ["user", "item", "seen", "price"]
    np.testing.assert_allclose(maps, expected.numpy(), atol=1e-6)
    np.testing.assert_allclose(maps.sum(axis=-1), 1, atol=1e-6)
    assert maps.std() > 0.01
    assert built.model.training


def test_what_the_tower_is_fed_is_what_the_model_feeds_it(log: Path, tmp_path: Path) -> None:
    built, split = untrained(log, tmp_path, model=DIN)
    built.model.eval()
    core, batch = built.model.module, whole(built, split)
    with torch.no_grad():
        assert torch.equal(core.tower(*core.tower_batch(batch)), built.model(batch).logits)


def test_history_weights_are_those_that_pool_the_history(
    log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built, split = untrained(log, tmp_path, model=DIN)
    built.model.eval()
    core = built.model.module
    with torch.no_grad():
        behaviour = core.tower_batch(whole(built, split)).behaviours[0]
        pooled = core.tower.interests[0](behaviour)
    monkeypatch.setattr(inspect, "EVALUATION_ROWS", 150)
    found = history_weights(built, split)
    row = np.repeat(np.arange(split.num_rows), found.lengths)
    expected = np.zeros(pooled.shape)
    np.add.at(expected, row, found.weights[:, None] * behaviour.history.numpy())
    np.testing.assert_allclose(expected, pooled.numpy(), atol=1e-4)


def test_matches_are_the_entries_that_name_the_candidate(log: Path, tmp_path: Path) -> None:
    built, split = untrained(log, tmp_path, model=DIN)
    found = history_weights(built, split, "seen")
    frame = pl.read_parquet(log / "test.parquet")
    histories = [seen[-4:] for seen in frame["seen"].to_list()]  # the config's max_len
    same = [entry == item for item, seen in zip(frame["item"], histories, strict=True) for entry in seen]
    assert found.lengths.tolist() == [len(seen) for seen in histories]
    assert found.matches("seen").tolist() == same
    assert 0 < sum(same) < len(same)


def test_what_the_candidate_has_not_is_weighed_and_has_no_matches(log: Path, tmp_path: Path) -> None:
    marks = {"type": "sequence", "column": "seen", "behaviour": "seen", "max_len": 4}
    built, split = untrained(log, tmp_path, model=DIN, features={"marks": marks, **BASE["features"]})
    found = history_weights(built, split, "seen")
    assert list(found.entries) == ["seen", "marks"]
    assert list(found.candidates) == ["seen"]
    assert len(found.entries["marks"]) == len(found.weights) == found.lengths.sum()


def test_matches_skip_rows_without_a_history() -> None:
    found = HistoryWeights(
        weights=np.zeros(3, np.float32),
        lengths=np.array([2, 0, 1]),
        entries={"seen": np.array([7, 8, 9])},
        candidates={"seen": np.array([8, 9, 9])},
    )
    assert found.matches("seen").tolist() == [False, True, True]


def test_another_tower_behaviour_or_an_empty_split_is_refused(log: Path, tmp_path: Path) -> None:
    built, split = untrained(log, tmp_path, model=DIN)
    with pytest.raises(ConfigError, match=r"model\.tower: must be autoint .*, got din"):
        field_attention(built, split)
    with pytest.raises(ConfigError, match="behaviour: must be one of seen, got 'clicks'"):
        history_weights(built, split, "clicks")
    with pytest.raises(DataError, match="split: must have rows to look at, got none"):
        history_weights(built, PreparedSplit((), 0, {"click": 0.0}))
    other, split = untrained(log, tmp_path, model=AUTOINT)
    with pytest.raises(ConfigError, match=r"model\.tower: must be din .*, got autoint"):
        history_weights(other, split)
