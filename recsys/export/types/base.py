"""Base of the torch twins of all feature types: canonical values -> ids or numbers, in ATen operations.

What is here runs in TorchScript, on any host that has torch. It must give bit for bit what the type's handler in
`recsys.features.types` gives.

Dimension key: B rows, V values of one input (B of them, or the entries of all lists).
"""

from collections.abc import Mapping, Sequence
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn

from recsys.config.feature_types import FeatureSection, Field
from recsys.features.state import TransformState

__all__ = ["ExportedFeature", "FieldsEncoder", "StackedNumbers"]

S = TypeVar("S", bound=FeatureSection)


class ExportedFeature(Generic[S]):
    """One feature of a type in the exported graph.

    Args:
        name: name of the feature.
        section: section of the feature in the file.
    """

    def __init__(self, name: str, section: S) -> None:
        self.name = name
        self.feature = section

    def encoder(self, field: Field, state: TransformState) -> nn.Module:
        """Return the scriptable module that encodes canonical values as the handler's `encode` does.

        Args:
            field: one of the feature's fields, which owns its vocabulary if it has one.
            state: the fitted state.

        Shape:
            values: (V,) int64 keys or seconds, or (B,) float64.
            output: (V,) int64 ids, 0 for unknown or missing values; of a number, (B,) float32.
        """
        raise NotImplementedError(f"{field.name}: type {self.feature.type} has no encoder of a single field")

    def ids_encoder(self, field: Field, fields: Sequence[Field], state: TransformState) -> nn.Module:
        """Return the module that adds the ids of all `fields`, which share the vocabulary of `field`, to a dictionary.

        Its `forward` takes the canonical inputs and the ids found so far, both by name.
        """
        return FieldsEncoder(self.encoder(field, state), {one.name: one.feature for one in fields})

    @classmethod
    def numbers_encoder(cls, features: Mapping[str, "ExportedFeature[Any]"], state: TransformState) -> nn.Module:
        """Return the module that encodes all number fields of this type.

        Its `forward` takes the canonical inputs by name and gives (B, N) float32, in the order of `features`.

        Args:
            features: features of this type, by the names of their fields.
            state: the fitted state.
        """
        encoders = {}
        for name, feature in features.items():
            (field,) = feature.feature.fields(feature.name, {})
            encoders[name] = feature.encoder(field, state)
        return StackedNumbers(encoders)


class FieldsEncoder(nn.Module):
    """All fields that share one vocabulary, so that the exported file holds it once.

    Args:
        encode: values (V,) -> ids (V,) int64.
        sources: field -> the input it is made of.
    """

    fields: list[str]
    sources: list[str]

    def __init__(self, encode: nn.Module, sources: dict[str, str]) -> None:
        super().__init__()
        self.encode = encode
        self.fields = list(sources)
        self.sources = list(sources.values())

    def forward(self, raw: dict[str, Tensor], ids: dict[str, Tensor]) -> None:
        """Add the ids of each field to `ids`."""
        for i, field in enumerate(self.fields):
            ids[field] = self.encode(raw[self.sources[i]])


class StackedNumbers(nn.Module):
    """Number fields with an encoder each: inputs (B,) float64 -> (B, N) float32."""

    names: list[str]

    def __init__(self, encoders: dict[str, nn.Module]) -> None:
        super().__init__()
        self.names = list(encoders)
        self.encoders = nn.ModuleList(encoders.values())

    def forward(self, raw: dict[str, Tensor]) -> Tensor:
        """Encode each input and put the numbers side by side."""
        numbers: list[Tensor] = []
        for i, encoder in enumerate(self.encoders):
            numbers.append(encoder(raw[self.names[i]]))
        return torch.stack(numbers, dim=1)
