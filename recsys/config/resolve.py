"""From a checked config and the columns of the data to the fields and tables of one model."""

from dataclasses import dataclass
from typing import Literal

from recsys.config.features import Feature
from recsys.config.run import Config
from recsys.config.tables import Table

__all__ = ["Field", "Plan", "PlannedTable"]

Kind = Literal["id", "ids", "sequence", "number"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Field:
    """One thing the model sees of a row: a column of the prepared data."""

    name: str
    """The feature's name, or NAME.PART for the parts of a datetime."""
    kind: Kind
    """id: one id a row (id, bucket, cross, datetime parts); ids and sequence: a list; number: a float."""
    feature: str
    """Key in `Plan.features`."""
    vocabulary: str | None
    """Field that owns the vocabulary (itself, or what a sequence is `of`); None for a number."""
    open: bool = False
    """Ids are 64-bit keys, without a vocabulary."""
    pooling: Literal["mean", "sum"] = "sum"
    """How several ids become one vector (mean for ids by default; sequences pool by mean outside DIN)."""
    behaviour: str | None = None
    """For a sequence: the behaviour it is aligned with."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedTable:
    """One logical embedding table and the fields that read it."""

    name: str
    fields: tuple[str, ...]
    dim: int
    spec: Table


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """A config with every glob expanded: what is prepared, looked up and fed to the tower, in this order."""

    config: Config
    """With the expanded `features`, so that writing it out and reading it again gives this plan."""
    features: dict[str, Feature]
    fields: tuple[Field, ...]
    tables: tuple[PlannedTable, ...]

    def field(self, name: str) -> Field:
        """Return the field called `name`."""
        return next(field for field in self.fields if field.name == name)
