"""From the fitted transform to what tables hold. Needs torch, but not torchrec."""

import numpy as np
import torch

from recsys.config import Field, Plan
from recsys.embeddings.scheme import Member
from recsys.features.state import TransformState

__all__ = ["members_of", "vocabularies"]


def vocabularies(plan: Plan, state: TransformState) -> dict[str, Member]:
    """Return each vocabulary of a plan, by the field that owns it."""
    owners = {plan.vocabulary_of(field): field for field in plan.fields if field.kind != "number"}
    return {owner: _member(owner, field, state) for owner, field in owners.items()}


def members_of(plan: Plan, state: TransformState) -> dict[str, list[Member]]:
    """Return the vocabularies that each table of a plan holds, in order, by the table's name."""
    known = vocabularies(plan, state)
    return {table.name: [known[owner] for owner in plan.vocabularies_in(table)] for table in plan.tables}


def _member(owner: str, field: Field, state: TransformState) -> Member:
    """Return one vocabulary, with the ranks of its ids where they are not in the order of frequency."""
    ranks = None
    if owner in state.vocabularies:
        counts = state.vocabularies[owner].counts[1:]  # id 0 is unknown, and is ranked first
        if (np.diff(counts) > 0).any():
            ranks = torch.zeros(len(counts) + 1, dtype=torch.int64)
            ranks[1 + torch.as_tensor(np.argsort(-counts, kind="stable"))] = torch.arange(1, len(counts) + 1)
    return Member(owner, state.num_ids(field), ranks)
