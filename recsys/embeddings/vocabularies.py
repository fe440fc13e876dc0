"""The vocabularies whose ids the tables hold, as fitted to data or as configured. Needs torch, but not torchrec."""

import numpy as np
import torch

from recsys.config import Field, ResolvedConfig
from recsys.embeddings.scheme import FeatureVocabulary
from recsys.features.state import TransformState

__all__ = ["feature_vocabularies", "vocabularies_by_table", "vocabularies_without_data"]


def feature_vocabularies(resolved: ResolvedConfig, state: TransformState) -> dict[str, FeatureVocabulary]:
    """Return each vocabulary of a configuration, as fitted to the training data, by the field that owns it."""
    owners = {resolved.vocabulary_of(field): field for field in resolved.fields if field.has_ids}
    return {owner: _vocabulary(owner, field, state) for owner, field in owners.items()}


def vocabularies_without_data(resolved: ResolvedConfig) -> dict[str, FeatureVocabulary] | None:
    """Return each vocabulary of a configuration, by the field that owns it; None if any is learned from data.

    Known without data are open and listed vocabularies, buckets with given boundaries and parts of times.
    """
    found: dict[str, FeatureVocabulary] = {}
    for owner in {resolved.vocabulary_of(field): None for field in resolved.fields if field.has_ids}:
        field = resolved.field(owner)
        num_ids = resolved.features[field.feature].num_ids(owner)
        if num_ids is None and not field.open:
            return None
        found[owner] = FeatureVocabulary(owner, num_ids)
    return found


def vocabularies_by_table(resolved: ResolvedConfig, state: TransformState) -> dict[str, list[FeatureVocabulary]]:
    """Return the vocabularies whose ids each table of a configuration holds, by the table's name."""
    known = feature_vocabularies(resolved, state)
    return {table.name: [known[owner] for owner in resolved.vocabularies_in(table)] for table in resolved.tables}


def _vocabulary(owner: str, field: Field, state: TransformState) -> FeatureVocabulary:
    """Return one vocabulary, with the ranks of its ids if they are not in order of frequency."""
    ranks = None
    if owner in state.vocabularies:
        counts = state.vocabularies[owner].counts[1:]  # id 0 is unknown, and is ranked first
        if (np.diff(counts) > 0).any():
            ranks = torch.zeros(len(counts) + 1, dtype=torch.int64)
            ranks[1 + torch.as_tensor(np.argsort(-counts, kind="stable"))] = torch.arange(1, len(counts) + 1)
    return FeatureVocabulary(owner, state.num_ids(field), ranks)
