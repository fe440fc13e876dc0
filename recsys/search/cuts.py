"""Cuts: what each block of each vocabulary loses by each width, and the shapes that the knapsack makes of it.

A block is cut alone, everything else as it is, by masks on the frozen supernet. The rise of the validation loss is the
proxy that the knapsack adds up.

Dimension key: L blocks, S groups of columns, R rows of a table.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from recsys.checksums import read_json, with_checksum, without_checksum
from recsys.embeddings.gates.gated import Gated
from recsys.files import write_json
from recsys.search.knapsack import Option, allocate
from recsys.search.sample import Sample
from recsys.search.shape import TableShape
from recsys.search.supernet import apply_shapes, gated_tables
from recsys.training.build import LoadedModel
from recsys.training.strategy import table_weights

__all__ = [
    "BlockCuts",
    "importance_orders",
    "measure_cuts",
    "prefix_orders",
    "shapes_within",
    "whole_shapes",
    "with_columns",
]

Order = NDArray[np.int64]
"""(L, S): the groups of columns of each block, that which is kept longest first."""
_REMEDY = "delete it, and the cuts are measured again"


class BlockCuts(NamedTuple):
    """The widths that a block of ids can have, and what they lose."""

    vocabulary: str
    block: int
    columns: tuple[tuple[int, ...], ...]
    """Kept columns of each width, from none to all."""
    losses: tuple[float, ...]
    """Rise of the validation loss if this block alone is cut to each width."""


# --- shapes of a supernet ---------------------------------------------------------------------------------------------


def whole_shapes(loaded: LoadedModel) -> dict[str, TableShape]:
    """Return the shapes of a supernet of which no column is cut, by vocabulary; rows are those that its gates keep."""
    weights = table_weights(loaded.model)
    return {name: _whole(name, scheme, scheme.kept_rows(weights)) for name, scheme in gated_tables(loaded).items()}


def _whole(name: str, scheme: Gated, kept_R: Tensor | None) -> TableShape:
    ranks = scheme.vocabularies[0].ranks
    sizes = np.bincount(scheme.gate.block.cpu().numpy(), minlength=len(scheme.column_mask))
    return TableShape(
        vocabulary=name,
        dim=scheme.dim,
        block_sizes=tuple(sizes.tolist()),
        columns=(tuple(range(scheme.dim)),) * len(sizes),
        kept=None if kept_R is None else kept_R.cpu().numpy(),
        ranks=None if ranks is None else ranks.numpy(),
        precision=scheme.found_precision,
    )


def with_columns(shape: TableShape, columns: Mapping[int, tuple[int, ...]]) -> TableShape:
    """Return a shape in which some blocks keep other columns."""
    return replace(shape, columns=tuple(columns.get(block, before) for block, before in enumerate(shape.columns)))


def prefix_orders(loaded: LoadedModel) -> dict[str, Order]:
    """Return the order of nested widths, in which the last groups go first, by vocabulary."""
    shapes = {name: (len(one.column_mask), one.gate.num_groups) for name, one in gated_tables(loaded).items()}
    return {name: np.tile(np.arange(num_groups), (num_blocks, 1)) for name, (num_blocks, num_groups) in shapes.items()}


def importance_orders(loaded: LoadedModel) -> dict[str, Order]:
    """Return the order in which the groups go first that are least important by the rule of the gate, by vocabulary."""
    weights = table_weights(loaded.model)
    found = {name: scheme.importance(weights).cpu().numpy() for name, scheme in gated_tables(loaded).items()}
    return {name: np.argsort(-importance_LS, axis=1, kind="stable") for name, importance_LS in found.items()}


# --- measuring --------------------------------------------------------------------------------------------------------


def measure_cuts(
    sample: Sample, orders: Mapping[str, Order], context: Mapping[str, TableShape], *, state: Path | None = None
) -> list[BlockCuts]:
    """Return what each block loses by each width, all other blocks being as in a context.

    Args:
        sample: the frozen supernet and rows of the validation split.
        orders: the order in which groups of columns are kept, by vocabulary.
        context: the shapes that the others have, by vocabulary; all of the supernet's.
        state: JSON file that is written after each vocabulary; if it is there, what it holds is not measured again.
    """
    known = _read_state(state)
    found, tables = [], gated_tables(sample.loaded)
    for name, order in orders.items():
        for block, groups in enumerate(order):
            columns = _columns(groups, context[name].dim, tables[name].gate.cut_widths())
            losses = known.get(f"{name}/{block}") or [
                _loss_of(sample, context, name, {block: kept}) for kept in columns
            ]
            known[f"{name}/{block}"] = losses
            found.append(BlockCuts(name, block, columns, tuple(loss - losses[-1] for loss in losses)))
        _write_state(state, known)
    apply_shapes(sample.loaded, {})
    return found


def _columns(order_S: NDArray[np.int64], dim: int, widths: Sequence[int]) -> tuple[tuple[int, ...], ...]:
    """Return the columns that each width keeps."""
    column_D = np.arange(dim).reshape(len(order_S), -1)[order_S].ravel()
    return tuple(tuple(np.sort(column_D[:width]).tolist()) for width in widths)


def _loss_of(
    sample: Sample, context: Mapping[str, TableShape], name: str, columns: Mapping[int, tuple[int, ...]]
) -> float:
    """Return the loss if some blocks of a vocabulary keep other columns than in the context."""
    apply_shapes(sample.loaded, {**context, name: with_columns(context[name], columns)})
    return sample.loss()


def _read_state(state: Path | None) -> dict[str, list[float]]:
    if state is None or not state.exists():
        return {}
    known: dict[str, list[float]] = without_checksum(read_json(state, remedy=_REMEDY), state, remedy=_REMEDY)
    return known


def _write_state(state: Path | None, known: Mapping[str, list[float]]) -> None:
    if state is not None:
        write_json(state, with_checksum(known))


# --- choosing ---------------------------------------------------------------------------------------------------------


def shapes_within(cuts: Sequence[BlockCuts], whole: Mapping[str, TableShape], allowed: int) -> dict[str, TableShape]:
    """Return the shapes of at most `allowed` bytes that lose least, as the cuts say.

    Raises:
        UnreachableBytesError: not even the smallest widths are so small.
    """
    ranks = sum(4 * shape.num_ids for shape in whole.values() if shape.ranks is not None and len(shape.columns) > 1)
    choices = allocate([_options(cut, whole[cut.vocabulary]) for cut in cuts], allowed - ranks).choices
    chosen: dict[str, dict[int, tuple[int, ...]]] = {name: {} for name in whole}
    for cut, choice in zip(cuts, choices, strict=True):
        chosen[cut.vocabulary][cut.block] = cut.columns[choice]
    return {name: with_columns(shape, chosen[name]) for name, shape in whole.items()}


def _options(cut: BlockCuts, whole: TableShape) -> list[Option]:
    """Return the options of the knapsack for one block."""
    nothing = dict.fromkeys(range(len(whole.columns)), ())
    alone = (with_columns(replace(whole, ranks=None), {**nothing, cut.block: columns}) for columns in cut.columns)
    return [Option(shape.serving_bytes, loss) for shape, loss in zip(alone, cut.losses, strict=True)]
