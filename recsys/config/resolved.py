"""The resolved configuration: the fields and tables of one model, with every glob expanded."""

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import NamedTuple

from recsys.config.feature_types import FeatureSection, Field, Kind
from recsys.config.kept import nowhere
from recsys.config.run import Config
from recsys.config.schemes import TableSection

__all__ = ["BehaviourFields", "ResolvedConfig", "ResolvedTable", "fields_of"]


class BehaviourFields(NamedTuple):
    """The fields of one behaviour."""

    sequences: list[str]
    """Sequences of which entry i is the same event: those `of` a field of the candidate, then those that it has nothing
    like, such as ratings; both in the order of the file."""
    targets: list[str]
    """Fields of the candidate whose values the first sequences hold, in their order."""

    @classmethod
    def of(cls, sequences: Sequence[Field]) -> "BehaviourFields":
        """Return the behaviour of sequences in the order of the file."""
        ordered = sorted(sequences, key=lambda field: field.target is None)
        return cls([field.name for field in ordered], [field.target for field in ordered if field.target is not None])


@dataclass(frozen=True, kw_only=True, slots=True)
class ResolvedTable:
    """One logical embedding table and the fields that read it."""

    name: str
    fields: tuple[str, ...]
    """Names of the fields that read it, in order; a sequence reads the table of what it is `of`."""
    dim: int
    spec: TableSection
    """Section of the file; a `full` table for a field that the file puts in none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ResolvedConfig:
    """A config with every glob expanded: what is prepared, looked up and fed to the tower, in this order."""

    config: Config
    """The configuration with the expanded `features`, so that writing and reading it again resolves to the same."""
    features: dict[str, FeatureSection]
    """The features that are used; those with `use: false` are in `config.features` only."""
    fields: tuple[Field, ...]
    tables: tuple[ResolvedTable, ...]
    _by_name: dict[str, Field] = dataclass_field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_name", {field.name: field for field in reversed(self.fields)})

    def field(self, name: str) -> Field:
        """Return the field called `name`.

        Raises:
            KeyError: there is none.
        """
        return self._by_name[name]

    def fields_of_kind(self, *kinds: Kind) -> tuple[Field, ...]:
        """Return the fields of any of these kinds, in order."""
        return tuple(field for field in self.fields if field.kind in kinds)

    def behaviours(self) -> dict[str, BehaviourFields]:
        """Return the fields of each behaviour, by its name."""
        found: dict[str, list[Field]] = {}
        for field in self.fields:
            if field.behaviour is not None:
                found.setdefault(field.behaviour, []).append(field)
        return {name: BehaviourFields.of(fields) for name, fields in found.items()}

    def attendable(self) -> dict[str, BehaviourFields]:
        """Return the behaviours that a candidate can be held against; sequences of others can only be pooled."""
        return {name: behaviour for name, behaviour in self.behaviours().items() if behaviour.targets}

    def aligned(self) -> list[list[str]]:
        """Return the sequences of each behaviour that has several."""
        return [behaviour.sequences for behaviour in self.behaviours().values() if len(behaviour.sequences) > 1]

    def vocabulary_of(self, field: Field) -> str:
        """Return the name of the field that owns the vocabulary of `field`, which is not a number."""
        assert field.vocabulary is not None, f"{field.name} is a number"
        return field.vocabulary

    def vocabularies_in(self, table: ResolvedTable) -> list[str]:
        """Return the names of the fields that own the vocabularies of a table, each once, in order."""
        return list(dict.fromkeys(self.vocabulary_of(self.field(name)) for name in table.fields))

    def still_needed(self, gone: Set[str]) -> set[str]:
        """Return those of some features that cannot be left out: others, the calibration or the tower need them."""
        if gone >= set(self.features):
            return set(gone)
        stay = {name: one for name, one in self.features.items() if name not in gone}
        needed = {of for one in stay.values() for _, of in one.references()} & gone
        if self.config.calibration.by is not None:
            needed |= {self.field(self.config.calibration.by).feature} & gone
        histories = {field.feature: field.target for field in self.fields if field.target is not None}
        if self.config.model.needs_behaviours and histories and gone >= histories.keys():
            needed |= set(next(iter(histories.items())))
        return needed

    def without_sharding(self) -> Config:
        """Return the configuration, all its tables named, without what may change when a run is resumed.

        That is how devices share the tables, how their vectors are communicated, what a search may change, and where
        files of kept values lie whose content is known.
        """
        features = {name: nowhere(feature) for name, feature in self.config.features.items()}
        tables = {
            table.name: table.spec.model_copy(
                update={"features": table.fields, "dim": table.dim, "sharding": None, "placement": None}
            )
            for table in sorted(self.tables, key=lambda table: table.name)
        }
        train = self.config.train.model_copy(update={"communication": "fp32"})
        return self.config.replaced(features=features, tables=tables, train=train, search=None)

    def input_columns(self) -> list[str]:
        """Return the columns of the data that are read, each once: of features, labels, weight, group."""
        return list(dict.fromkeys(self.columns_by_use().values()))

    def columns_by_use(self) -> dict[tuple[str, ...], str]:
        """Return the column that each key of the configuration names, e.g. {("features", "price"): "price"}."""
        config = self.config
        columns: dict[tuple[str, ...], str | None] = {
            ("features", name): feature.column_of(name) for name, feature in self.features.items()
        }
        if isinstance(config.label, str):
            columns["label",] = config.label
        else:
            columns |= {("label", task): column for task, column in config.label.items()}
        columns["weight",] = config.weight
        columns["group",] = config.group
        return {use: column for use, column in columns.items() if column is not None}


def fields_of(features: Mapping[str, FeatureSection]) -> Iterator[Field]:
    """Yield the fields of checked features, in order, those included that are not used."""
    for name, feature in features.items():
        yield from feature.fields(name, features)
