"""The section of AutoInt and AutoInt+."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from recsys.config.limits import Rate, Units, check_weights
from recsys.config.problems import KeyPath
from recsys.config.towers.base import Activation, Hidden, TowerSection, check_mlp

__all__ = ["AutoIntModel"]


class AutoIntModel(TowerSection):
    """AutoInt (Song et al. 2019); with `mlp` AutoInt+."""

    implementation: ClassVar[str | type] = "recsys.towers.autoint:AutoInt"
    needs_equal_dims: ClassVar[bool] = True
    examples: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "": {"layers": 2, "attention_dim": 8},
        "no layers": {"layers": 0},
        "no residual": {"layers": 1, "attention_dim": 8, "residual": False},
        "plus": {
            "layers": 1,
            "heads": 4,
            "attention_dim": 12,
            "scale": True,
            "layer_norm": True,
            "attention_dropout": 0.1,
            "dropout": 0.1,
            "mlp": (10,),
        },
    }

    tower: Literal["autoint"]
    layers: Annotated[int, Field(ge=0, le=64)] = 3
    """Interacting layers, one after the other."""
    heads: Units = 2
    """Attention heads of each layer."""
    attention_dim: Units = 64
    """Width of one interacting layer over all heads (d' x H in the paper); a multiple of `heads`."""
    residual: bool = True
    """Add a projection of a layer's input to its output."""
    scale: bool = False
    """Divide the scores by the root of the head width. The paper does not, its code does."""
    layer_norm: bool = False
    """Normalize the output of each interacting layer."""
    attention_dropout: Rate = 0.0
    """Share of the attention weights that a training step leaves out."""
    dropout: Rate = 0.0
    """Dropout of the parallel network. On the embeddings themselves it only slowed learning (Frappe, MovieLens-1M)."""
    mlp: Hidden = ()
    """Hidden layers of the parallel network; none is plain AutoInt."""
    activation: Activation = "relu"
    """Activation of the parallel network."""
    batch_norm: bool = False
    """Batch normalization in the parallel network."""

    def check(self) -> Iterator[tuple[KeyPath, str]]:
        if self.attention_dim % self.heads:
            low = self.attention_dim // self.heads * self.heads
            near = ", ".join(str(dim) for dim in (low, low + self.heads) if dim)
            text = f"must be a multiple of heads ({self.heads}), got {self.attention_dim}; nearest: {near}"
            yield ("attention_dim",), text
        yield from check_weights("attention_dim", 4 * self.layers * self.attention_dim**2)
        yield from check_mlp(self.mlp, batch_norm=self.batch_norm, dropout=self.dropout)
