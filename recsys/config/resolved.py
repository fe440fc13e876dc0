"""What a model sees of the data: fields and tables, with every glob expanded."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from recsys.config.features import (
    CrossFeature,
    DatetimeFeature,
    Feature,
    IdFeature,
    IdsFeature,
    NumberFeature,
    SequenceFeature,
)
from recsys.config.run import Config
from recsys.config.schemes import TableSection

__all__ = ["Field", "Kind", "ResolvedConfig", "ResolvedTable", "column_of", "fields_of"]

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
    """For a sequence: the behaviour it is aligned with, its own name if the file gives none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ResolvedTable:
    """One logical embedding table and the fields that read it."""

    name: str
    fields: tuple[str, ...]
    """In the order of `Plan.fields`; a sequence is in the table of what it is `of`."""
    dim: int
    spec: TableSection
    """As in the file; a `full` table for a field that the file puts in none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ResolvedConfig:
    """A config with every glob expanded: what is prepared, looked up and fed to the tower, in this order."""

    config: Config
    """With the expanded `features`, so that writing it out and reading it again gives this plan."""
    features: dict[str, Feature]
    fields: tuple[Field, ...]
    tables: tuple[ResolvedTable, ...]

    def field(self, name: str) -> Field:
        """Return the field called `name`.

        Raises:
            KeyError: there is none.
        """
        for field in self.fields:
            if field.name == name:
                return field
        raise KeyError(name)

    def fields_of_kind(self, *kinds: Kind) -> tuple[Field, ...]:
        """Return the fields of any of these kinds, in order."""
        return tuple(field for field in self.fields if field.kind in kinds)

    def behaviours(self) -> dict[str, list[str]]:
        """Return the sequences of each behaviour, in order: entry i of all of them is one event."""
        found: dict[str, list[str]] = {}
        for field in self.fields:
            if field.behaviour is not None:
                found.setdefault(field.behaviour, []).append(field.name)
        return found

    def vocabulary_of(self, field: Field) -> str:
        """Return the name of the field that owns the vocabulary of `field`, which is not a number."""
        assert field.vocabulary is not None, f"{field.name} is a number"
        return field.vocabulary

    def vocabularies_in(self, table: ResolvedTable) -> list[str]:
        """Return the names of the fields that own the vocabularies of a table, each once, in order."""
        return list(dict.fromkeys(self.vocabulary_of(self.field(name)) for name in table.fields))

    def without_places(self) -> Config:
        """Return the configuration, all its tables named, without what may change when a run is taken up again.

        That is where tables lie, and how their vectors travel.
        """
        tables = {
            table.name: table.spec.model_copy(
                update={"features": table.fields, "dim": table.dim, "sharding": None, "placement": None}
            )
            for table in sorted(self.tables, key=lambda table: table.name)
        }
        train = self.config.train.model_copy(update={"communication": "fp32"})
        return self.config.from_source(self.config.source, tables=tables, train=train)

    def input_columns(self) -> list[str]:
        """Return the columns of the data that are read, each once: of features, labels, weight, group."""
        return list(dict.fromkeys(self.columns_by_use().values()))

    def columns_by_use(self) -> dict[tuple[str, ...], str]:
        """Return the column that each key of the configuration names, e.g. {("features", "price"): "price"}."""
        config = self.config
        columns: dict[tuple[str, ...], str | None] = {
            ("features", name): column_of(name, feature) for name, feature in self.features.items()
        }
        if isinstance(config.label, str):
            columns["label",] = config.label
        else:
            columns |= {("label", task): column for task, column in config.label.items()}
        columns["weight",] = config.weight
        columns["group",] = config.group
        return {use: column for use, column in columns.items() if column is not None}


def column_of(name: str, feature: Feature) -> str | None:
    """Return the column that a feature reads; None for a cross, which reads other features."""
    return None if isinstance(feature, CrossFeature) else feature.column or name


def fields_of(features: Mapping[str, Feature]) -> Iterator[Field]:
    """Yield the fields of checked features, in order."""
    for name, feature in features.items():
        if isinstance(feature, NumberFeature):
            yield Field(name=name, kind="number", feature=name, vocabulary=None)
        elif isinstance(feature, SequenceFeature):
            yield _sequence(name, feature, features.get(feature.of))
        elif isinstance(feature, DatetimeFeature):
            for part in feature.parts:
                yield Field(name=f"{name}.{part}", kind="id", feature=name, vocabulary=f"{name}.{part}")
        elif isinstance(feature, IdsFeature):
            is_open = feature.vocabulary == "open"
            yield Field(name=name, kind="ids", feature=name, vocabulary=name, open=is_open, pooling=feature.pooling)
        else:
            is_open = isinstance(feature, IdFeature | CrossFeature) and feature.vocabulary == "open"
            yield Field(name=name, kind="id", feature=name, vocabulary=name, open=is_open)


def _sequence(name: str, feature: SequenceFeature, owner: Feature | None) -> Field:
    return Field(
        name=name,
        kind="sequence",
        feature=name,
        vocabulary=feature.of,
        open=isinstance(owner, IdFeature) and owner.vocabulary == "open",
        pooling="mean",
        behaviour=feature.behaviour or name,
    )
