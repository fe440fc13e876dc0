"""The section of the multi-layer perceptron."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from recsys.config.towers.base import MlpSection

__all__ = ["MlpModel"]


class MlpModel(MlpSection):
    """Multi-layer perceptron on the concatenated embeddings."""

    implementation: ClassVar[str | type] = "recsys.towers.mlp:Mlp"
    examples: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "": {"mlp": (12, 6)},
        "dice": {"mlp": (12, 6), "activation": "dice"},
        "prelu": {"mlp": (12, 6), "activation": "prelu", "dropout": 0.2},
    }

    tower: Literal["mlp"] = "mlp"
