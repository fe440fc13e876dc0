"""The section of the deep interest network."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from recsys.config.limits import Units
from recsys.config.towers.base import Activation, Hidden, MlpSection

__all__ = ["DinModel"]


class DinModel(MlpSection):
    """Deep interest network (Zhou et al. 2018)."""

    implementation: ClassVar[str | type] = "recsys.towers.din:Din"
    uses_behaviours: ClassVar[bool] = True
    needs_behaviours: ClassVar[bool] = True
    examples: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "": {"mlp": (12, 6), "attention": (10, 5)},
        "softmax": {"mlp": (12,), "attention": (10,), "attention_softmax": True},
        "dice": {"mlp": (12,), "attention": (10,), "attention_activation": "dice"},
        "pooled": {"mlp": (12,), "attention": (10,), "attention_softmax": True, "pooled_history": "mean"},
        "linear": {"mlp": (12,), "attention": ()},
        "positions": {"mlp": (12,), "attention": (10,), "attention_softmax": True, "position_dim": 4},
    }

    tower: Literal["din"]
    mlp: Hidden = (200, 80)
    """Hidden layers, input first; the output layer is added."""
    activation: Activation = "dice"
    """Activation after each hidden layer."""
    attention: Hidden = (80, 40)
    """Hidden layers of the activation unit."""
    attention_activation: Activation = "sigmoid"
    """Activation after each hidden layer of the activation unit."""
    attention_softmax: bool = False
    """Normalize the weights over the history; the paper does not, its published code does."""
    pooled_history: Literal["mean"] | None = None
    """Feed each history to the MLP pooled without attention, too."""
    position_dim: Units | None = None
    """Width of a learned embedding of each entry's position, counted from the most recent; the paper has none."""
