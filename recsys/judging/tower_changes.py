"""Permute what the tower reads of some features, or take it away; all else stays, and no id is looked up again.

A permuted id has the vector of the row that it comes from, so permuting vectors is permuting ids.

Dimension key: B rows of a batch, C floats of all fields of a row, N numbers, E width of a history's entries.
"""

from collections.abc import Callable, Collection
from typing import NamedTuple

import torch
from torch import Tensor

from recsys.data.window import take_lists
from recsys.model import TowerBatch, tower_inputs
from recsys.towers import Behaviour
from recsys.training.build import LoadedModel

__all__ = ["Places", "permute", "places_of", "take_away"]


class Places(NamedTuple):
    """The columns and histories of some features in the inputs of a tower."""

    fields: Tensor
    """Columns of `TowerBatch.fields`."""
    numbers: Tensor
    """Columns of `TowerBatch.numbers`."""
    targets: list[Tensor]
    """Columns of the candidate of each behaviour."""
    histories: list[bool]
    """Whether each behaviour's history is theirs."""


def places_of(loaded: LoadedModel, features: Collection[str]) -> Places:
    """Return where a model's tower reads features, all sequences of a behaviour or none."""
    resolved, input_map = loaded.resolved, loaded.model.module.input_map
    names = {field.name for field in resolved.fields if field.feature in features}
    dims = dict(zip(input_map.fields, tower_inputs(resolved, loaded.layout, input_map).dims, strict=True))
    numbers = {field.name: 1 for field in resolved.fields_of_kind("number")}
    behaviours = input_map.behaviours.values()
    targets = [{name: dims[name] for name in behaviour.targets} for behaviour in behaviours]
    device = next(loaded.model.parameters()).device
    return Places(
        fields=_columns(dims, names).to(device),
        numbers=_columns(numbers, names).to(device),
        targets=[_columns(target, names).to(device) for target in targets],
        histories=[not names.isdisjoint(behaviour.sequences) for behaviour in behaviours],
    )


def permute(fed: TowerBatch, places: Places, order_B: Tensor) -> TowerBatch:
    """Give each row what another row has of some features.

    Args:
        fed: the inputs of the tower.
        places: where the features are.
        order_B: the row that each row gets them from.
    """

    def history(behaviour: Behaviour) -> tuple[Tensor, Tensor]:
        ends = torch.cat([behaviour.lengths.new_zeros(1), behaviour.lengths.cumsum(0)])
        return take_lists(behaviour.history, ends, order_B)

    return _changed(fed, places, lambda columns: columns.index_select(0, order_B), history)


def take_away(fed: TowerBatch, places: Places) -> TowerBatch:
    """Give each row what the rows have on average of some features, and an empty history.

    The vector of the unknown id would not do: where training knew all ids, it is one that was never trained.
    """

    def history(behaviour: Behaviour) -> tuple[Tensor, Tensor]:
        return behaviour.history[:0], torch.zeros_like(behaviour.lengths)

    return _changed(fed, places, lambda columns: columns.mean(dim=0, keepdim=True).expand_as(columns), history)


def _changed(
    fed: TowerBatch,
    places: Places,
    change: Callable[[Tensor], Tensor],
    change_history: Callable[[Behaviour], tuple[Tensor, Tensor]],
) -> TowerBatch:
    behaviours = [
        Behaviour(
            _with_columns(behaviour.target, columns, change),
            *(change_history(behaviour) if is_moved else (behaviour.history, behaviour.lengths)),
        )
        for behaviour, columns, is_moved in zip(fed.behaviours, places.targets, places.histories, strict=True)
    ]
    fields = _with_columns(fed.fields, places.fields, change)
    return TowerBatch(fields, _with_columns(fed.numbers, places.numbers, change), behaviours)


def _with_columns(matrix: Tensor, columns: Tensor, change: Callable[[Tensor], Tensor]) -> Tensor:
    if not len(columns):
        return matrix
    return matrix.index_copy(1, columns, change(matrix.index_select(1, columns)))


def _columns(widths: dict[str, int], names: Collection[str]) -> Tensor:
    """Return the columns of some of the parts that lie side by side in a matrix."""
    owner = [name for name, width in widths.items() for _ in range(width)]
    return torch.tensor([column for column, name in enumerate(owner) if name in names], dtype=torch.int64)
