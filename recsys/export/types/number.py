"""`type: number` in the exported graph.

Dimension key: B rows, N number fields.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from recsys.config.feature_types import NumberFeature
from recsys.export.types.base import ExportedFeature
from recsys.features.moments import NumberState
from recsys.features.state import TransformState
from recsys.features.values import FLOAT32_MAX

__all__ = ["ExportedNumber", "NumbersEncoder"]


class ExportedNumber(ExportedFeature[NumberFeature]):
    """One number a row -> the number, transformed and normalized. All numbers are encoded at once."""

    @classmethod
    def numbers_encoder(cls, features: Mapping[str, ExportedFeature[Any]], state: TransformState) -> nn.Module:
        """Return the scaling of all numbers."""
        return NumbersEncoder({name: state.numbers[name] for name in features})


class NumbersEncoder(nn.Module):
    """Number fields, transformed and normalized: N inputs (B,) float64 -> (B, N) float32; a missing number is 0."""

    names: list[str]
    is_log1p: Tensor
    is_log_squared: Tensor
    is_clipped: Tensor
    shift: Tensor
    scale: Tensor

    def __init__(self, states: dict[str, NumberState]) -> None:
        super().__init__()
        self.names = list(states)
        numbers = list(states.values())
        self.register_buffer("is_log1p", torch.tensor([n.transform == "log1p" for n in numbers], dtype=torch.bool))
        self.register_buffer(
            "is_log_squared", torch.tensor([n.transform == "log_squared" for n in numbers], dtype=torch.bool)
        )
        self.largest = FLOAT32_MAX
        self.register_buffer("is_clipped", torch.tensor([n.clip for n in numbers], dtype=torch.bool))
        self.register_buffer("shift", torch.tensor([n.shift for n in numbers], dtype=torch.float64))
        self.register_buffer("scale", torch.tensor([n.scale for n in numbers], dtype=torch.float64))

    def forward(self, raw: dict[str, Tensor]) -> Tensor:
        """Transform and scale all inputs at once."""
        raw_BN = torch.stack([raw[name] for name in self.names], dim=1)
        is_given_BN = raw_BN.abs() <= self.largest  # false for NaN, too
        x_BN = torch.where(is_given_BN, raw_BN, 0.0)
        x_BN = torch.where(self.is_log1p, torch.sign(x_BN) * torch.log1p(x_BN.abs()), x_BN)
        x_BN = torch.where(self.is_log_squared & (x_BN > 2), torch.log(x_BN.clamp(min=2.0)).square(), x_BN)
        x_BN = (x_BN - self.shift) * self.scale
        x_BN = torch.where(self.is_clipped, x_BN.clamp(0.0, 1.0), x_BN)
        return torch.where(is_given_BN, x_BN, 0.0).float()
