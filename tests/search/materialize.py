"""The weights of the model that a search ends in, from those of its supernet: the same scores before any retraining.

Dimension key: R rows of a table, D width.
"""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from recsys.embeddings.scheme import Scheme
from recsys.embeddings.schemes.blocks import Blocks
from recsys.embeddings.schemes.full import Full
from recsys.search.shape import TableShape
from recsys.search.supernet import gated_tables, shapes_applied
from recsys.training.build import LoadedModel
from recsys.training.strategy import table_weights


@torch.no_grad()
def materialize(supernet: LoadedModel, shapes: Mapping[str, TableShape], model: LoadedModel) -> None:
    """Give a model the weights of what some shapes leave of a supernet.

    Args:
        supernet: the supernet, in one process.
        shapes: by vocabulary; those that are not named are whole.
        model: what the shapes become: each searched table in `full` or padded `blocks` as wide as the supernet's, so
            that the tower is the same. Its vocabularies may lack the ids whose rows are not kept.
    """
    weights, own = table_weights(supernet.model), table_weights(model.model)
    searched = gated_tables(supernet)
    with shapes_applied(supernet, shapes):
        rows = {name: scheme.gated_rows(weights) for name, scheme in searched.items()}
    for name, scheme in model.layout.schemes.items():
        vocabularies = [vocabulary.name for vocabulary in scheme.vocabularies]
        if vocabularies[0] in searched:
            (vocabulary,) = vocabularies
            _fill(scheme, own, rows[vocabulary][_ids_of(vocabulary, supernet, model)])
        else:
            scheme.load_state_dict(supernet.layout.schemes[name].state_dict())
            for table in scheme.physical_tables():
                own[table.name].copy_(weights[table.name])
    model.model.module.tower.load_state_dict(supernet.model.module.tower.state_dict())


def _ids_of(vocabulary: str, supernet: LoadedModel, model: LoadedModel) -> Tensor:
    """Return the supernet's id of each id of a model, (R,)."""
    if vocabulary not in model.state.vocabularies:
        return torch.arange(gated_tables(supernet)[vocabulary].first_rows[-1])
    found = model.state.vocabularies[vocabulary]
    ids = np.zeros(found.size, np.int64)
    ids[found.ids] = supernet.state.vocabularies[vocabulary].encode(found.keys)
    return torch.from_numpy(ids)


def _fill(scheme: Scheme, weights: Mapping[str, Tensor], rows_RD: Tensor) -> None:
    """Write the embeddings of all ids into the physical tables of a scheme."""
    if isinstance(scheme, Full):
        weights[scheme.tables(0)[0].name].copy_(rows_RD)
        return
    assert isinstance(scheme, Blocks), f"{scheme.name}: scheme {scheme.spec.scheme} is no result of a search"
    assert scheme.projection is None, f"{scheme.name}: projections have no counterpart in the supernet"
    assert set(scheme.together) <= {1}, f"{scheme.name}: widths must be multiples of 4"
    ids = torch.arange(len(rows_RD))
    rank_R, row_KR, tables = scheme.rank_of(ids), scheme.remap(ids, 0), scheme.tables(0)
    for block, start in enumerate(scheme.starts):
        is_in_R = (rank_R >= start) & (rank_R < scheme.ends[block])
        columns = columns_of(scheme.runs[block])
        lookup = scheme.first_lookups[scheme.group_of[block]]
        weights[tables[lookup].name][row_KR[lookup][is_in_R]] = rows_RD[is_in_R][:, columns]


def columns_of(runs: list[int]) -> Tensor:
    """Return the columns that a block holds, from the numbers of columns in a row, in turn missing and held."""
    is_held = torch.arange(len(runs)) % 2 == 1
    return torch.repeat_interleave(is_held, torch.tensor(runs)).nonzero().flatten()
