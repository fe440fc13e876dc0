"""The section of the factorization machine."""

from typing import ClassVar, Literal

from recsys.config.towers.base import TowerSection

__all__ = ["FmModel"]


class FmModel(TowerSection):
    """Factorization machine (Rendle 2010)."""

    implementation: ClassVar[str | type] = "recsys.towers.fm:Fm"
    needs_equal_dims: ClassVar[bool] = True
    reads_alike: ClassVar[bool] = True

    tower: Literal["fm"]
