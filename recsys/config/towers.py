"""What a tower can be told: one frozen model for each tower. The towers themselves live in `recsys.towers`."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Field

from recsys.config.section import CLASS_PATH, CUSTOM, Dim, Section, chosen_by, tag

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
    equal_dims: ClassVar[bool] = False
    """Whether the tower multiplies embeddings with each other, so that all must have one width."""
    reads_alike: ClassVar[bool] = False
    """Whether the tower has no weights by which it reads one feature otherwise than another."""

    dim: Dim = 16
    """Width of the embeddings whose table does not state its own."""


class _Mlp(_Model):
    mlp: tuple[Width, ...] = (400, 400, 400)
    """Hidden layers, input first; the output layer is added."""
    activation: Activation = "relu"
    """After each hidden layer."""
    dropout: Rate = 0.0
    """Share of the hidden units that a training step leaves out."""
    batch_norm: bool = False
    """Normalise each hidden layer over the batch, before its activation."""


class LrModel(_Model):
    """Logistic regression."""

    reads_alike: ClassVar[bool] = True

    tower: Literal["lr"]
    dim: Dim = 4
    """Width of the embeddings whose table does not state its own. Four is the least that FBGEMM reads."""


class FmModel(_Model):
    """Factorisation machine (Rendle 2010)."""

    equal_dims: ClassVar[bool] = True
    reads_alike: ClassVar[bool] = True

    tower: Literal["fm"]


class MlpModel(_Mlp):
    """Multi-layer perceptron on the concatenated embeddings."""

    tower: Literal["mlp"] = "mlp"


class AutoIntModel(_Model):
    """AutoInt (Song et al. 2019); with `mlp` AutoInt+."""

    equal_dims: ClassVar[bool] = True

    tower: Literal["autoint"]
    layers: Annotated[int, Field(ge=0)] = 3
    """Interacting layers, one after the other."""
    heads: Annotated[int, Field(ge=1)] = 2
    """Attention heads of each layer."""
    attention_dim: Width = 64
    """Width of one interacting layer over all heads (d' x H in the paper); a multiple of `heads`."""
    residual: bool = True
    """Add a projection of a layer's input to its output."""
    scale: bool = False
    """Divide the scores by the root of the head width. The paper does not, its code does."""
    layer_norm: bool = False
    """Normalise the output of each interacting layer."""
    attention_dropout: Rate = 0.0
    """On the attention weights."""
    dropout: Rate = 0.0
    """In the parallel network. On the embeddings themselves it only slowed learning (Frappe, MovieLens-1M)."""
    mlp: tuple[Width, ...] = ()
    """Hidden layers of the parallel network; none is plain AutoInt."""
    activation: Activation = "relu"
    """Of the parallel network."""
    batch_norm: bool = False
    """In the parallel network."""


class DinModel(_Mlp):
    """Deep interest network (Zhou et al. 2018)."""

    tower: Literal["din"]
    mlp: tuple[Width, ...] = (200, 80)
    """Hidden layers, input first; the output layer is added."""
    activation: Activation = "dice"
    """After each hidden layer."""
    attention: tuple[Width, ...] = (80, 40)
    """Hidden layers of the activation unit."""
    attention_activation: Activation = "sigmoid"
    """Of the activation unit."""
    attention_softmax: bool = False
    """Normalise the weights over the history; the paper does not, its published code does."""


class CustomModel(_Model):
    """A tower of the user's own, named `package.module:Class`; other keys are handed to it."""

    model_config = ConfigDict(extra="allow")

    tower: Annotated[str, Field(pattern=CLASS_PATH)]

    def parameters(self) -> dict[str, Any]:
        """Return the keys that only the user's own class knows; lists are tuples."""
        return dict(self.model_extra or {})


Model = Annotated[
    Annotated[LrModel, tag("tower", "lr")]
    | Annotated[FmModel, tag("tower", "fm")]
    | Annotated[MlpModel, tag("tower", "mlp")]
    | Annotated[AutoIntModel, tag("tower", "autoint")]
    | Annotated[DinModel, tag("tower", "din")]
    | Annotated[CustomModel, tag("tower", CUSTOM)],
    chosen_by("tower", default="mlp"),
]
