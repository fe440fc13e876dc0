"""`type: bucket` in the exported graph.

Dimension key: V values of one input.
"""

import torch
from torch import Tensor, nn

from recsys.config.feature_types import BucketFeature, Field
from recsys.export.types.base import ExportedFeature
from recsys.features.state import TransformState
from recsys.features.values import FLOAT32_MAX

__all__ = ["BucketEncoder", "ExportedBucket"]


class ExportedBucket(ExportedFeature[BucketFeature]):
    """One number a row -> the id of its range."""

    def encoder(self, field: Field, state: TransformState) -> nn.Module:
        """Return the boundaries."""
        return BucketEncoder(torch.as_tensor(state.boundaries[field.name].copy()))


class BucketEncoder(nn.Module):
    """Bucket of each number: (V,) float64 -> (V,) int64; 0 if missing, else 1 + the number of boundaries <= x."""

    boundaries: Tensor

    def __init__(self, boundaries: Tensor) -> None:
        super().__init__()
        self.largest = FLOAT32_MAX
        self.register_buffer("boundaries", boundaries)

    def forward(self, x_V: Tensor) -> Tensor:
        """Search the boundaries."""
        bucket_V = torch.searchsorted(self.boundaries, x_V, right=True) + 1
        return torch.where(x_V.abs() <= self.largest, bucket_V, 0)
