"""`type: cross` in the exported graph.

Dimension key: B rows.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from recsys.config.feature_types import CrossFeature, Field
from recsys.embeddings.hashing import mix64
from recsys.export.types.base import ExportedFeature
from recsys.export.types.keyed import key_encoder
from recsys.features.state import TransformState

__all__ = ["CrossEncoder", "ExportedCross", "cross_key"]


class ExportedCross(ExportedFeature[CrossFeature]):
    """The keys of several inputs -> one key -> its id."""

    def encoder(self, field: Field, state: TransformState) -> nn.Module:
        """Return the vocabulary of the folded keys."""
        return key_encoder(field, state)

    def ids_encoder(self, field: Field, fields: Sequence[Field], state: TransformState) -> nn.Module:
        """Return the module that folds the keys first."""
        del fields
        return CrossEncoder(self.encoder(field, state), field.name, list(self.feature.of))


class CrossEncoder(nn.Module):
    """One field, made of several inputs.

    Args:
        encode: folded keys (B,) -> ids (B,) int64.
        field: name of the field.
        sources: the inputs, in the order in which they are folded.
    """

    sources: list[str]

    def __init__(self, encode: nn.Module, field: str, sources: list[str]) -> None:
        super().__init__()
        self.encode = encode
        self.field = field
        self.sources = sources

    def forward(self, raw: dict[str, Tensor], ids: dict[str, Tensor]) -> None:
        """Add the ids of the field to `ids`."""
        ids[self.field] = self.encode(cross_key([raw[name] for name in self.sources]))


def cross_key(keys: list[Tensor]) -> Tensor:
    """Fold the keys of a cross, each (B,) int64, into one (B,) int64."""
    folded = mix64(keys[0])
    for i in range(1, len(keys)):
        folded = mix64(folded ^ keys[i])
    return folded
