"""What a tower can be told: one frozen model for each tower. The towers themselves live in `recsys.towers`."""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from recsys.config.features import Section

__all__ = [
    "AutoIntModel",
    "CustomModel",
    "DinModel",
    "FmModel",
    "LrModel",
    "MlpModel",
    "Model",
]

Width = Annotated[int, Field(ge=1)]
Rate = Annotated[float, Field(ge=0, lt=1)]
Activation = Literal["relu", "prelu", "dice", "sigmoid", "tanh"]


class _Model(Section):
    dim: Annotated[int, Field(ge=4, le=1024, multiple_of=4)] = 16
    """Width of the embeddings whose table does not state its own."""


class _Mlp(_Model):
    mlp: tuple[Width, ...] = (400, 400, 400)
    """Hidden layers, input first; the output layer is added."""
    activation: Activation = "relu"
    dropout: Rate = 0.0
    batch_norm: bool = False


class LrModel(_Model):
    """Logistic regression."""

    tower: Literal["lr"]
    dim: Annotated[int, Field(ge=4, le=1024, multiple_of=4)] = 4


class FmModel(_Model):
    """Factorisation machine (Rendle 2010)."""

    tower: Literal["fm"]


class MlpModel(_Mlp):
    """Multi-layer perceptron on the concatenated embeddings."""

    tower: Literal["mlp"]


class AutoIntModel(_Model):
    """AutoInt (Song et al. 2019); with `mlp` AutoInt+."""

    tower: Literal["autoint"]
    layers: Annotated[int, Field(ge=0)] = 3
    heads: Annotated[int, Field(ge=1)] = 2
    attention_dim: Width = 64
    """Width of one interacting layer over all heads (d' x H in the paper); a multiple of `heads`."""
    residual: bool = True
    scale: bool = False
    """Divide the scores by the root of the head width. The paper does not, its code does."""
    layer_norm: bool = False
    attention_dropout: Rate = 0.0
    """On the attention weights."""
    dropout: Rate = 0.0
    """On the embeddings and in the parallel MLP."""
    mlp: tuple[Width, ...] = ()
    """Hidden layers of the parallel network; none is plain AutoInt."""
    activation: Activation = "relu"
    batch_norm: bool = False


class DinModel(_Mlp):
    """Deep interest network (Zhou et al. 2018)."""

    tower: Literal["din"]
    mlp: tuple[Width, ...] = (200, 80)
    activation: Activation = "dice"
    attention: tuple[Width, ...] = (80, 40)
    """Hidden layers of the activation unit."""
    attention_activation: Activation = "sigmoid"
    attention_softmax: bool = False
    """Normalise the weights over the history; the paper does not, its published code does."""


class CustomModel(_Model):
    """A tower of the user's own, named `package.module:Class`; other keys are handed to it."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)

    tower: Annotated[str, Field(pattern=r"^[\w.]+:\w+$")]

    def parameters(self) -> dict[str, Any]:
        """Return the keys that only the user's own class knows."""
        return dict(self.model_extra or {})


Model = LrModel | FmModel | MlpModel | AutoIntModel | DinModel | CustomModel
