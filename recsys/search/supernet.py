"""The supernet: the user's model with a gate behind each full table, and what is left of it under a candidate's masks.

Dimension key: L blocks of ids, D width of the rows, R rows of a table.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from recsys.config import Config, ResolvedTable
from recsys.config.schemes import SCHEMES, TableSection
from recsys.config.schemes.base import PlainRows, RowPrecision
from recsys.config.schemes.blocks import BlocksTable
from recsys.data.prepared import Prepared, PreparedSplit
from recsys.embeddings.gates.gated import GATED, Gated
from recsys.embeddings.scheme import FeatureVocabulary, Scheme
from recsys.embeddings.schemes.blocks import Blocks
from recsys.embeddings.vocabularies import feature_vocabularies
from recsys.errors import ConfigError
from recsys.features.state import TransformState
from recsys.search.shape import TableShape
from recsys.training.build import LoadedModel, score_alone
from recsys.training.scoring import Scores

__all__ = [
    "TableBytes",
    "apply_shapes",
    "block_ends",
    "fixed_bytes",
    "gated_tables",
    "is_searchable",
    "prefix_shape",
    "rows_precision",
    "score_shapes",
    "shapes_applied",
    "supernet_config",
    "table_bytes",
]

NUM_BLOCKS = 6
"""Blocks of a vocabulary, where it has enough ids."""
BLOCK_IDS = 8
"""Least ids of a block."""


def supernet_config(
    prepared: Prepared, gate: Mapping[str, Any], *, num_blocks: int = NUM_BLOCKS, **changes: Any
) -> Config:
    """Return the user's configuration in which each vocabulary of a full table has a gated table of its own.

    Tables of other schemes stay as they are.

    Args:
        prepared: the data, and the configuration resolved for them.
        gate: section of the gate.
        num_blocks: blocks of a vocabulary that has enough ids.
        changes: sections of the configuration to replace.

    Raises:
        ConfigError: No table has the scheme `full`, so there is nothing to search.
    """
    config = prepared.resolved.config
    tables: dict[str, TableSection] = {}
    for table in prepared.resolved.tables:
        if is_searchable(table):
            tables |= _gated(table, prepared, gate, num_blocks)
        else:
            tables[table.name] = table.spec.model_copy(update={"features": table.fields, "dim": table.dim})
    if not any(section.scheme == GATED for section in tables.values()):
        raise ConfigError(f"{config.where('tables')}: no table has the scheme full, so there is nothing to search")
    return config.replaced(tables=tables, **changes)


def is_searchable(table: ResolvedTable) -> bool:
    """Return whether a search shapes a table."""
    return table.spec.scheme == "full"


def rows_precision(spec: TableSection) -> RowPrecision:
    """Return the precision in which rows of what a search makes of a table are served: what is stated, else fp16.

    Rounding rows that were trained in 32 bits moves a weight by 1/2048 of itself at most, and the same bytes hold twice
    as many columns. Rows in a cache cannot be rounded, so they are served as they are trained.
    """
    stated = spec.serving_precision if isinstance(spec, PlainRows) else None
    return stated or (spec.precision if spec.placement == "uvm_caching" else "fp16")


def _gated(
    table: ResolvedTable, prepared: Prepared, gate: Mapping[str, Any], num_blocks: int
) -> Iterator[tuple[str, TableSection]]:
    """Yield the gated table of each vocabulary of a table, which has the table's name if it is the only one."""
    section = SCHEMES.section_of(GATED)
    assert section is not None
    owners = prepared.resolved.vocabularies_in(table)
    vocabularies = feature_vocabularies(prepared.resolved, prepared.state)
    for owner in owners:
        vocabulary = vocabularies[owner]
        counts = _counts_by_rank(owner, prepared.state, vocabulary.ranks)
        ends = [] if counts is None else block_ends(counts, num_blocks)
        keys = {"scheme": GATED, "features": (owner,), "dim": table.dim, "gate": dict(gate), "blocks": tuple(ends)}
        keys["found_precision"] = rows_precision(table.spec)
        placed = table.spec.model_dump(include={"sharding", "placement", "precision"})
        if table.spec.placement == "uvm_caching":  # of which the gates could not change the rows between steps
            placed["placement"] = "uvm"
        yield table.name if len(owners) == 1 else f"{table.name}/{owner}", section.model_validate(keys | placed)


def _counts_by_rank(owner: str, state: TransformState, ranks: Tensor | None) -> NDArray[np.int64] | None:
    """Return the uses of the ids of a vocabulary in order of falling frequency; None if they were not counted."""
    if owner not in state.vocabularies:
        return None
    counts = state.vocabularies[owner].counts
    if ranks is None:
        return counts
    by_rank = np.empty_like(counts)
    by_rank[ranks.numpy()] = counts
    return by_rank


def block_ends(counts: NDArray[np.int64], num_blocks: int, *, least: int = BLOCK_IDS) -> list[int]:
    """Return the ranks at which a block of ids ends and the next one begins.

    All blocks have the same share of uses plus share of ids: the first ones split the uses, of which few ids have most,
    and the last ones split the rare ids, which have most of the bytes.

    Args:
        counts: (R,) uses of each id in the training split, by rank; rank 0 is the unknown id.
        num_blocks: number of blocks, if none has fewer than `least` ids.
        least: least ids of a block.

    >>> block_ends(np.array([0, 80, 20, 10, 5, 5, 2, 1, 1, 1, 1, 1]), 3, least=2)
    [2, 6]
    """
    weight = counts / max(int(counts.sum()), 1) + 1 / len(counts)
    share = np.cumsum(weight) / weight.sum()
    ends: list[int] = []
    for cut in np.searchsorted(share, np.arange(1, num_blocks) / num_blocks) + 1:
        if cut - (ends[-1] if ends else 0) >= least and len(counts) - cut >= least:
            ends.append(int(cut))
    return ends


# --- masks ------------------------------------------------------------------------------------------------------------


def gated_tables(loaded: LoadedModel) -> dict[str, Gated]:
    """Return the gated tables of a supernet by their vocabulary."""
    schemes = loaded.layout.schemes.values()
    return {scheme.vocabularies[0].name: scheme for scheme in schemes if isinstance(scheme, Gated)}


def prefix_shape(scheme: Gated, width: int) -> TableShape:
    """Return the shape of a gated table in which all ids keep the first `width` columns."""
    return TableShape.prefix(
        scheme.vocabularies[0].name,
        num_ids=len(scheme.row_mask),
        dim=scheme.dim,
        width=width,
        precision=scheme.found_precision,
    )


def apply_shapes(loaded: LoadedModel, shapes: Mapping[str, TableShape]) -> None:
    """Set the masks of a supernet to what some shapes leave of it; vocabularies that are not named are whole."""
    for name, scheme in gated_tables(loaded).items():
        shape = shapes.get(name)
        num_blocks, num_rows = len(scheme.column_mask), len(scheme.row_mask)
        if shape is None:
            scheme.set_masks(torch.ones(num_blocks, scheme.dim), torch.ones(num_rows))
        else:
            columns = shape.column_mask()[_blocks_in(shape, scheme)]
            scheme.set_masks(torch.from_numpy(columns), torch.from_numpy(shape.row_mask()))


def _blocks_in(shape: TableShape, scheme: Gated) -> NDArray[np.int64]:
    """Return the block of a shape in which each block of a gated table lies, (L,)."""
    sizes = np.bincount(scheme.gate.block.cpu().numpy(), minlength=len(scheme.column_mask))
    lasts = np.cumsum(sizes) - 1
    found = np.searchsorted(np.cumsum(shape.block_sizes), lasts, side="right")
    firsts = np.searchsorted(np.cumsum(shape.block_sizes), lasts - sizes + 1, side="right")
    assert shape.num_ids == sizes.sum(), f"{shape.vocabulary}: {shape.num_ids} ids, the supernet has {sizes.sum()}"
    assert (found == firsts).all(), f"{shape.vocabulary}: the blocks of the supernet, {sizes}, are not kept whole"
    return found


@contextmanager
def shapes_applied(loaded: LoadedModel, shapes: Mapping[str, TableShape]) -> Iterator[None]:
    """Leave of a supernet what some shapes leave, for the time of the block."""
    apply_shapes(loaded, shapes)
    try:
        yield
    finally:
        apply_shapes(loaded, {})


def score_shapes(loaded: LoadedModel, split: PreparedSplit, shapes: Mapping[str, TableShape]) -> Scores:
    """Score a split by what some shapes leave of a supernet, in one process.

    Raises:
        DataError: The split has no rows.
    """
    with shapes_applied(loaded, shapes):
        return score_alone(loaded, split)


# --- bytes ------------------------------------------------------------------------------------------------------------


class TableBytes(NamedTuple):
    """Bytes of all tables of a model."""

    serving: int
    training: int
    """Bytes with the optimizer's state."""


def table_bytes(loaded: LoadedModel, shapes: Mapping[str, TableShape]) -> TableBytes:
    """Return the bytes that all tables have if those of a supernet take some shapes; others count as they are."""
    train = loaded.resolved.config.train
    sparse, dense = train.sparse_optimizer.name, train.dense_optimizer.name
    others = _other_schemes(loaded)
    serving = fixed_bytes(loaded)
    training = sum(one.bytes("training", sparse=sparse, dense=dense) for one in others)
    for name, scheme in gated_tables(loaded).items():
        shape = shapes.get(name) or prefix_shape(scheme, scheme.dim)
        if not shape.is_dropped:
            serving += shape.serving_bytes
            training += _table_of(shape, scheme).bytes("training", sparse=sparse, dense=dense)
    return TableBytes(serving, training)


def _table_of(shape: TableShape, gated: Gated) -> Scheme:
    """Return the table that a shape becomes, without memory."""
    precisions = {"precision": gated.spec.precision, "serving_precision": shape.precision}
    keys = {"features": (shape.vocabulary,), **precisions, **shape.section()}
    with torch.device("meta"):
        ranks = None if shape.ranks is None else torch.arange(shape.num_kept)
        vocabulary = FeatureVocabulary(shape.vocabulary, shape.num_kept, ranks)
        return Blocks.for_feature(shape.vocabulary, vocabulary, shape.dim, BlocksTable.model_validate(keys))


def fixed_bytes(loaded: LoadedModel) -> int:
    """Return the bytes, when served, of the tables that a search leaves as they are."""
    return sum(scheme.serving_bytes() for scheme in _other_schemes(loaded))


def _other_schemes(loaded: LoadedModel) -> list[Scheme]:
    return [scheme for scheme in loaded.layout.schemes.values() if not isinstance(scheme, Gated)]
