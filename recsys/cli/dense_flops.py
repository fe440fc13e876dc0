"""FLOPs of the dense part of a model, counted while a few rows pass through its tower."""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from recsys.config import ResolvedConfig
from recsys.embeddings import Layout
from recsys.kernels.tensors import plain_form
from recsys.model import TowerInputMap, tower_inputs
from recsys.towers import Behaviour, Tower, TowerInputs, build_tower

__all__ = ["tower_with_flops"]

ROWS = 16


def tower_with_flops(resolved: ResolvedConfig, layout: Layout, lengths: Mapping[str, float]) -> tuple[Tower, float]:
    """Return the configured tower and the FLOPs of one row's forward pass; a multiply-add counts as two.

    Args:
        resolved: The resolved configuration.
        layout: Layout of its tables.
        lengths: Mean number of ids in a row, for fields that may have several.
    """
    input_map = TowerInputMap.of(resolved)
    inputs = tower_inputs(resolved, layout, input_map)
    tower = build_tower(inputs, resolved.config.model)
    entries = [round(lengths.get(one.sequences[0], 1.0)) for one in input_map.behaviours.values()]
    fields, numbers, behaviours = _rows(inputs, entries)
    with torch.no_grad(), plain_form(), FlopCounterMode(display=False) as counter:
        tower(fields, numbers, behaviours)
    return tower, counter.get_total_flops() / ROWS


def _rows(inputs: TowerInputs, entries: list[int]) -> tuple[Tensor, Tensor, list[Behaviour]]:
    """Return rows of zeros for a tower; `entries` are the lengths of the histories of each behaviour."""
    behaviours = [
        Behaviour(
            target=torch.zeros(ROWS, one.target_dim),
            history=torch.zeros(ROWS * max(1, number), one.dim),
            lengths=torch.full((ROWS,), max(1, number)),
        )
        for one, number in zip(inputs.behaviours, entries, strict=True)
    ]
    return torch.zeros(ROWS, sum(inputs.dims)), torch.zeros(ROWS, inputs.num_numbers), behaviours
