"""Rows of prepared data as tensors: what the reader hands to `collate`.

Dimension key: B rows, N number fields, T tasks, V ids of one field in all rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["Jagged", "Rows", "join"]


class Jagged(NamedTuple):
    """Lists of ids, one list a row, laid end to end."""

    values: Tensor
    """(V,) int32, or int64 when the vocabulary is open."""
    lengths: Tensor
    """(B,) int32; 0 for an empty list."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Some rows of one split, field by field: a batch, or a rank's part of it, which may have no rows."""

    single: dict[str, Tensor]
    """Field with one id a row -> (B,) int32, or int64 when the vocabulary is open."""
    lists: dict[str, Jagged]
    """Field with a list of ids a row."""
    numbers: Tensor
    """(B, N) float32, number fields in the order of the configuration."""
    labels: Tensor
    """(B, T) float32, tasks in the order of the config."""
    weights: Tensor | None
    """(B,) float32."""
    groups: Tensor | None
    """(B,) int64."""
    num_rows: int
    batch_rows: int
    """Rows of the whole batch, over all ranks; `num_rows` if there is one."""
    targets: Tensor | None = None
    """Targets that the rows learn in place of labels, (B, T) float32."""


def join(parts: Sequence[Rows]) -> Rows:
    """Put `parts`, of which there is at least one, one below the other.

    >>> labels = torch.ones(1, 1)
    >>> part = Rows({"user": torch.tensor([3])}, {}, torch.zeros(1, 0), labels, None, None, num_rows=1, batch_rows=1)
    >>> join([part, part]).single["user"]
    tensor([3, 3])
    """
    first = parts[0]
    if len(parts) == 1:
        return first
    return Rows(
        single={name: torch.cat([part.single[name] for part in parts]) for name in first.single},
        lists={
            name: Jagged(
                torch.cat([part.lists[name].values for part in parts]),
                torch.cat([part.lists[name].lengths for part in parts]),
            )
            for name in first.lists
        },
        numbers=torch.cat([part.numbers for part in parts]),
        labels=torch.cat([part.labels for part in parts]),
        weights=_join_optional([part.weights for part in parts]),
        groups=_join_optional([part.groups for part in parts]),
        num_rows=sum(part.num_rows for part in parts),
        batch_rows=sum(part.batch_rows for part in parts),
        targets=_join_optional([part.targets for part in parts]),
    )


def _join_optional(parts: Sequence[Tensor | None]) -> Tensor | None:
    given = [part for part in parts if part is not None]
    return torch.cat(given) if given else None
