"""The section of integer tables whose scales are learned."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from recsys.config.limits import LearningRate, Step
from recsys.config.schemes.base import SizedTable

__all__ = ["AlptTable"]


class AlptTable(SizedTable):
    """Integer rows, each with a learned scale (ALPT, Li et al. 2023)."""

    implementation: ClassVar[str | type] = "recsys.embeddings.schemes.alpt:Alpt"
    has_rows: ClassVar[bool] = False
    examples: ClassVar[Mapping[str, Mapping[str, Any]]] = {"": {}, "16": {"bits": 16, "scale": 0.0001}}

    scheme: Literal["alpt"]
    bits: Literal[8, 16] = 8
    """Bits of one integer."""
    scale: Step = 0.01
    """Initial value of one step."""
    scale_lr: LearningRate = 2e-5
    """Learning rate of the scales."""
