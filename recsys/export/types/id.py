"""`type: id` in the exported graph."""

from torch import nn

from recsys.config.feature_types import Field, IdFeature
from recsys.export.types.base import ExportedFeature
from recsys.export.types.keyed import key_encoder
from recsys.features.state import TransformState

__all__ = ["ExportedId"]


class ExportedId(ExportedFeature[IdFeature]):
    """One key a row -> its id."""

    def encoder(self, field: Field, state: TransformState) -> nn.Module:
        """Return the vocabulary, or nothing that changes the keys if it is open."""
        return key_encoder(field, state)
