"""Ids of keys: what `recsys.features.types.keyed` does, in ATen operations.

Dimension key: V values of one input.
"""

import torch
from torch import Tensor, nn

from recsys.config.feature_types import Field
from recsys.features.state import TransformState
from recsys.features.vocabulary import Vocabulary

__all__ = ["OpenEncoder", "VocabularyEncoder", "key_encoder"]


class VocabularyEncoder(nn.Module):
    """Ids of int64 keys: (V,) int64 -> (V,) int64; 0 for a key that the vocabulary does not hold."""

    keys: Tensor
    ids: Tensor

    def __init__(self, vocabulary: Vocabulary) -> None:
        super().__init__()
        self.register_buffer("keys", torch.as_tensor(vocabulary.keys.copy()))
        self.register_buffer("ids", torch.as_tensor(vocabulary.ids.copy()))

    def forward(self, key_V: Tensor) -> Tensor:
        """Search the sorted keys."""
        if self.keys.numel() == 0:
            return torch.zeros_like(key_V)
        index_V = torch.searchsorted(self.keys, key_V).clamp(max=self.keys.numel() - 1)
        return torch.where(self.keys[index_V] == key_V, self.ids[index_V].long(), 0)


class OpenEncoder(nn.Module):
    """Keys of an open vocabulary are the ids: (V,) int64 -> (V,) int64."""

    def forward(self, key_V: Tensor) -> Tensor:
        """Return the keys."""
        return key_V


def key_encoder(field: Field, state: TransformState) -> nn.Module:
    """Return the encoder of the keys of a field that owns a vocabulary, or has an open one."""
    return OpenEncoder() if field.open else VocabularyEncoder(state.vocabularies[field.name])
