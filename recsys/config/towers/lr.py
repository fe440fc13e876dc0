"""The section of logistic regression."""

from typing import ClassVar, Literal

from recsys.config.limits import Dim
from recsys.config.towers.base import TowerSection

__all__ = ["LrModel"]


class LrModel(TowerSection):
    """Logistic regression."""

    implementation: ClassVar[str | type] = "recsys.towers.lr:Lr"
    reads_alike: ClassVar[bool] = True

    tower: Literal["lr"]
    dim: Dim = 4
    """Width of the embeddings whose table does not state its own. Four is the least that FBGEMM reads."""
