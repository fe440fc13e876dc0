"""What the dense part of a model costs: floating point operations, counted while a few rows pass through the tower."""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from recsys.config import ResolvedConfig
from recsys.embeddings import Layout
from recsys.model import TowerInputMap, tower_inputs
from recsys.towers import Behaviour, Tower, TowerInputs, build_tower

__all__ = ["tower_of"]

ROWS = 16


def tower_of(resolved: ResolvedConfig, layout: Layout, lengths: Mapping[str, float]) -> tuple[Tower, float]:
    """Return a plan's tower and the operations of one row's forward pass: two for each multiplication and addition.

    Args:
        resolved: with the model.
        layout: of its tables.
        lengths: mean ids of a row, of fields that may have several.
    """
    wiring = TowerInputMap.of(resolved)
    inputs = tower_inputs(resolved, layout, wiring)
    tower = build_tower(inputs, resolved.config.model)
    entries = [round(lengths.get(names[0], 1.0)) for names in wiring.behaviours.values()]
    fields, numbers, behaviours = _rows(inputs, entries)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        tower(fields, numbers, behaviours)
    return tower, counter.get_total_flops() / ROWS


def _rows(inputs: TowerInputs, entries: list[int]) -> tuple[Tensor, Tensor, list[Behaviour]]:
    """Return some rows for a tower, whose values do not matter; their histories have so many entries."""
    behaviours = [
        Behaviour(
            target=torch.zeros(ROWS, one.dim),
            history=torch.zeros(ROWS * max(1, number), one.dim),
            lengths=torch.full((ROWS,), max(1, number)),
        )
        for one, number in zip(inputs.behaviours, entries, strict=True)
    ]
    return torch.zeros(ROWS, sum(inputs.dims)), torch.zeros(ROWS, inputs.num_numbers), behaviours
