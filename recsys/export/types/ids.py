"""`type: ids` in the exported graph."""

from torch import nn

from recsys.config.feature_types import Field, IdsFeature
from recsys.export.types.base import ExportedFeature
from recsys.export.types.keyed import key_encoder
from recsys.features.state import TransformState

__all__ = ["ExportedIds"]


class ExportedIds(ExportedFeature[IdsFeature]):
    """The keys of a row -> their ids; `Inputs` has cut the lists before."""

    def encoder(self, field: Field, state: TransformState) -> nn.Module:
        """Return the vocabulary, or nothing that changes the keys if it is open."""
        return key_encoder(field, state)
