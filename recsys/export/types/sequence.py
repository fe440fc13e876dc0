"""`type: sequence` in the exported graph."""

from torch import nn

from recsys.config.feature_types import Field, SequenceFeature
from recsys.export.types.base import ExportedFeature
from recsys.export.types.keyed import key_encoder
from recsys.features.state import TransformState

__all__ = ["ExportedSequence"]


class ExportedSequence(ExportedFeature[SequenceFeature]):
    """The keys of a row -> their ids, by the encoder of the feature that they are values of, or by one of its own."""

    def encoder(self, field: Field, state: TransformState) -> nn.Module:
        """Return the vocabulary, or nothing that changes the keys if it is open."""
        return key_encoder(field, state)
