"""The attention weights of a trained model over the rows of a split.

Dimension key: R rows of the split, V entries of all its histories laid end to end, L layers, H heads, M fields and
numbers of a row.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from recsys.config.resolved import BehaviourFields
from recsys.data.prepared import PreparedSplit
from recsys.data.reader import Reader
from recsys.embeddings import Batch
from recsys.errors import ConfigError, DataError
from recsys.model import TowerBatch
from recsys.towers.autoint import AutoInt
from recsys.towers.din import Din, Interest
from recsys.training.build import EVALUATION_ROWS, LoadedModel

__all__ = ["FieldAttention", "HistoryWeights", "field_attention", "history_weights", "tower_batches"]


class FieldAttention(NamedTuple):
    """Attention between the fields of a row, averaged over rows."""

    maps: npt.NDArray[np.float64]
    """(L, H, M, M): how much the field of the third axis takes from the field of the last one; sums to 1 over it."""
    names: list[str]
    """M fields, then numbers, in the order of the axes."""


class HistoryWeights(NamedTuple):
    """Weights that the candidate of each row gives to the entries of a history."""

    weights: npt.NDArray[np.float32]
    """(V,)"""
    lengths: npt.NDArray[np.integer[Any]]
    """(R,) entries of each row."""
    entries: dict[str, npt.NDArray[np.int64]]
    """Sequence -> its ids (V,), 0 for unknown ones."""
    candidates: dict[str, npt.NDArray[np.int64]]
    """Sequence -> the candidate's id (R,) in the feature it is `of`; none for a sequence without `of`."""

    def matches(self, sequence: str) -> npt.NDArray[np.bool_]:
        """Return (V,) whether an entry has the candidate's id; unknown ids, which are all 0, match each other.

        Raises:
            KeyError: there is no such sequence that is `of` a feature of the candidate.
        """
        matching: npt.NDArray[np.bool_] = self.entries[sequence] == np.repeat(self.candidates[sequence], self.lengths)
        return matching


@torch.no_grad()
def field_attention(loaded: LoadedModel, split: PreparedSplit) -> FieldAttention:
    """Average the attention maps of an AutoInt model over the rows of a split.

    Raises:
        ConfigError: the model has another tower.
        DataError: the split has no rows.
    """
    core, tower = loaded.model.module, loaded.model.module.tower
    if not isinstance(tower, AutoInt):
        raise ConfigError(f"model.tower: must be autoint to have attention between fields, got {_tower(loaded)}")
    total = torch.zeros((), dtype=torch.float64)
    for batch, fed in tower_batches(loaded, split):
        maps_LHMM = torch.stack([of_layer.mean(dim=0) for of_layer in tower.attention_maps(fed.fields, fed.numbers)])
        total = total + maps_LHMM.cpu().double() * batch.num_rows
    numbers = [field.name for field in loaded.resolved.fields_of_kind("number")]
    return FieldAttention((total / split.num_rows).numpy(), core.input_map.fields + numbers)


@torch.no_grad()
def history_weights(loaded: LoadedModel, split: PreparedSplit, behaviour: str | None = None) -> HistoryWeights:
    """Return the weights that a DIN model gives to every entry of the histories of a split.

    Args:
        loaded: the model.
        split: prepared rows.
        behaviour: its name in the config; the first one when not given.

    Raises:
        ConfigError: the model has another tower, or no such behaviour.
        DataError: the split has no rows.
    """
    core, tower = loaded.model.module, loaded.model.module.tower
    if not isinstance(tower, Din):
        raise ConfigError(f"model.tower: must be din to weigh a history, got {_tower(loaded)}")
    known = list(core.input_map.behaviours)
    if behaviour is not None and behaviour not in known:
        raise ConfigError(f"behaviour: must be one of {', '.join(known)}, got {behaviour!r}")
    place = 0 if behaviour is None else known.index(behaviour)
    fields: BehaviourFields = core.input_map.behaviours[known[place]]
    interest = tower.interests[place]
    assert isinstance(interest, Interest)
    weights, lengths, batches = [], [], []
    for batch, fed in tower_batches(loaded, split):
        weights.append(interest.weights(fed.behaviours[place]))
        lengths.append(fed.behaviours[place].lengths)
        batches.append(batch)
    return HistoryWeights(
        _joined(weights),
        _joined(lengths),
        {name: _joined([batch.ids[name] for batch in batches]) for name in fields.sequences},
        {
            name: _joined([batch.ids[of] for batch in batches])
            for name, of in zip(fields.sequences, fields.targets, strict=False)
        },
    )


def tower_batches(
    loaded: LoadedModel, split: PreparedSplit, *, batch_size: int | None = None, seed: int | None = None
) -> Iterator[tuple[Batch, TowerBatch]]:
    """Give each batch of a split, and what the tower gets of it; the model is in eval mode meanwhile.

    Args:
        loaded: the model.
        split: prepared rows.
        batch_size: rows of a batch. Default: as many as are scored at a time.
        seed: seed of the order of rows; None reads them in order.

    Raises:
        DataError: the split has no rows.
    """
    if split.num_rows == 0:
        raise DataError("split: must have rows to look at, got none")
    model = loaded.model
    device = next(model.parameters()).device
    reader: Reader[Batch] = Reader(
        split, loaded.resolved, batch_size=batch_size or EVALUATION_ROWS, collate=loaded.layout.collate, seed=seed
    )
    was_training = model.training
    model.eval()
    try:
        for batch in reader:
            on_device = batch.to(device)
            yield on_device, model.module.tower_batch(on_device)
    finally:
        model.train(was_training)


def _tower(loaded: LoadedModel) -> str:
    return loaded.resolved.config.model.tower


def _joined(parts: list[Tensor]) -> npt.NDArray[Any]:
    joined: npt.NDArray[Any] = torch.cat(parts).cpu().numpy()
    return joined
