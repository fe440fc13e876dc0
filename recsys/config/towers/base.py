"""The base of the sections of all towers: the width of embeddings, and the facts that others ask about a tower."""

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from recsys.config.limits import Dim, Rate, Units, check_weights
from recsys.config.problems import KeyPath
from recsys.config.section import CLASS_PATH, CustomSection, Section

__all__ = ["Activation", "CustomModel", "Hidden", "MlpSection", "TowerSection", "check_mlp"]

Hidden = Annotated[tuple[Units, ...], Field(max_length=64)]
"""Units of hidden layers, input first."""
Activation = Literal["relu", "prelu", "dice", "sigmoid", "tanh"]


class TowerSection(Section):
    """Base of the sections of all towers.

    A subclass states its name as `tower: Literal["name"]`, and the facts below wherever they differ. Whoever needs to
    know one asks the section: the tower's class states none of them again.
    """

    needs_equal_dims: ClassVar[bool] = False
    """Whether the tower multiplies embeddings with each other, so that all must have one width."""
    uses_behaviours: ClassVar[bool] = False
    """Whether the tower reads histories entry by entry, if they are of something that the candidate has, too; all other
    histories the model pools into a field each, by the mean."""
    needs_behaviours: ClassVar[bool] = False
    """Whether the tower cannot be built without a history that it reads entry by entry."""
    reads_alike: ClassVar[bool] = False
    """Whether the tower has no weights by which it reads one feature differently from another."""
    examples: ClassVar[Mapping[str, Mapping[str, Any]]] = {"": {}}
    """Keys of towers that the contract suite of `recsys.testing` builds, of few units: name -> keys."""

    if TYPE_CHECKING:
        tower: str  # each section states its own Literal

    dim: Dim = 16
    """Width of the embeddings whose table does not state its own."""


class MlpSection(TowerSection):
    """Base of the sections of towers that end in a multi-layer perceptron."""

    mlp: Hidden = (400, 400, 400)
    """Hidden layers, input first; the output layer is added."""
    activation: Activation = "relu"
    """Activation after each hidden layer."""
    dropout: Rate = 0.0
    """Share of the hidden units that a training step leaves out."""
    batch_norm: bool = False
    """Normalize each hidden layer over the batch, before its activation."""

    def check(self) -> Iterator[tuple[KeyPath, str]]:
        yield from check_mlp(self.mlp, batch_norm=self.batch_norm, dropout=self.dropout)


class CustomModel(TowerSection, CustomSection):
    """A tower of your own, named `package.module:Class`, that has no section; its other keys are passed on."""

    tower: Annotated[str, Field(pattern=CLASS_PATH)]


def check_mlp(hidden: tuple[int, ...], *, batch_norm: bool, dropout: float) -> Iterator[tuple[KeyPath, str]]:
    """Yield the keys of hidden layers that are set where there are none, and layers that are too large together."""
    yield from check_weights("mlp", sum(one * other for one, other in pairwise(hidden)))
    for key, value in (("batch_norm", batch_norm), ("dropout", dropout)):
        if value and not hidden:
            yield (key,), "has no effect without hidden layers in model.mlp; leave it out"
