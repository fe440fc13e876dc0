"""Base of the sections of all feature types: the keys in the file, and the facts that others ask for."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, NamedTuple

from pydantic import Field as Limits

from recsys.config.problems import KeyPath
from recsys.config.section import Section

__all__ = ["ColumnSection", "FeatureSection", "Field", "InputForm", "Kind", "ListLimit", "Name", "repeated_values"]

Name = Annotated[str, Limits(min_length=1)]
Kind = Literal["id", "ids", "sequence", "number"]
InputForm = Literal["int64", "float64", "lists"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Field:
    """One thing the model sees of a row: a column of the prepared data."""

    name: str
    """The feature's name, or NAME.PART for the parts of a datetime."""
    kind: Kind
    """id: one id a row (id, bucket, cross, datetime parts); ids and sequence: a list; number: a float."""
    feature: str
    """Key in `ResolvedConfig.features`."""
    vocabulary: str | None
    """Field that owns the vocabulary (itself, or what a sequence is `of`); None for a number."""
    open: bool = False
    """Ids are 64-bit keys, without a vocabulary."""
    pooling: Literal["mean", "sum"] = "sum"
    """Operation that makes one vector of several ids (sequences pool by mean where no tower reads their entries)."""
    behaviour: str | None = None
    """Behaviour that a sequence belongs to, its own name if the file gives none; None for all other kinds."""

    @property
    def has_ids(self) -> bool:
        """Whether the field holds ids, which are looked up in a table, and not numbers."""
        return self.kind != "number"

    @property
    def target(self) -> str | None:
        """Field of the candidate whose values a sequence holds; None if the candidate has none, or for other kinds."""
        return None if self.kind != "sequence" or self.vocabulary == self.name else self.vocabulary

    @property
    def is_list(self) -> bool:
        """Whether a row has any number of ids."""
        return self.kind in ("ids", "sequence")


class ListLimit(NamedTuple):
    """The number of entries of a row's list that are kept, and the end they are kept at."""

    max_len: int
    keeps_last: bool
    """Keep the last entries of a longer list, not the first."""


class FeatureSection(Section):
    """Base of the sections of all feature types.

    A type is one subclass here, one handler in `recsys.features.types` and one in `recsys.export.types`. All other code
    asks for these facts, and never for the type itself.
    """

    if TYPE_CHECKING:  # each type declares its own, as a Literal; here it would change the order of the keys
        type: str

    use: bool = True
    """Whether the feature is read at all; with false, it is as if it were not written down, but for its column."""
    exported: ClassVar[str] = ""
    """Import path of the type's subclass of `recsys.export.types.ExportedFeature`. `implementation` is its subclass of
    `recsys.features.types.FeatureHandler`."""
    kind: ClassVar[Kind] = "id"
    """Kind of the fields: a row has one id, a list of ids, a history of ids, or a number."""
    input: ClassVar[InputForm | None] = "int64"
    """Canonical form of the column, which exported models take: one integer or float a row, or a list of integers.
    None if the feature reads no column but other features."""
    has_keys: ClassVar[bool] = False
    """The canonical integers are keys: the integers of the column, or hashes of its texts."""
    reads_time: ClassVar[bool] = False
    """The canonical integers are Unix seconds, so that rows can be split by them."""
    can_be_referenced: ClassVar[bool] = False
    """Crosses and sequences may be `of` such a feature."""

    @property
    def is_open(self) -> bool:
        """Whether ids are 64-bit keys, without a vocabulary."""
        return False

    def column_of(self, name: str) -> str | None:
        """Return the column that the feature called `name` reads; None if it reads other features."""
        return name

    def owner(self, name: str) -> str:
        """Return the feature whose keys and vocabulary the feature called `name` has: itself in general."""
        return name

    def inputs(self, name: str) -> Sequence[str]:
        """Return the features whose canonical columns the fields are made of: itself in general."""
        return (name,)

    def fields(self, name: str, features: Mapping[str, "FeatureSection"]) -> Iterator[Field]:
        """Yield the fields of the feature called `name`, in order.

        Args:
            name: name or glob of this feature.
            features: all features, in case a field depends on another one.
        """
        del features
        vocabulary = None if self.kind == "number" else name
        yield Field(name=name, kind=self.kind, feature=name, vocabulary=vocabulary, open=self.is_open)

    def num_ids(self, field: str) -> int | None:
        """Return the number of ids of a field, id 0 included; None if only the training rows tell, or it is open."""
        del field
        return None

    def list_limit(self) -> ListLimit | None:
        """Return how lists are cut; None if a row has one value."""
        return None

    def behaviour_of(self, name: str) -> str | None:
        """Return the behaviour that the sequence called `name` belongs to; None for all other types."""
        del name
        return None

    def vocabulary_form(self) -> str:
        """Say in a word or two where the ids come from, for `recsys check`."""
        return "fixed"

    def input_facts(self) -> dict[str, Any]:
        """Return what else a host must know to make the canonical input, for the signature of a bundle."""
        return {}

    def references(self) -> Iterator[tuple[KeyPath, str]]:
        """Yield the names of the features that this one is made of, each with the path of its key."""
        yield from ()


class ColumnSection(FeatureSection):
    """Base of the types that read a column."""

    column: Name | None = None
    """Column of the file; the feature's own name when not given."""

    def column_of(self, name: str) -> str | None:
        """Return `column`, or the feature's name."""
        return self.column or name


def repeated_values(key: str, values: Sequence[object]) -> Iterator[tuple[KeyPath, str]]:
    """Yield a problem for each value of the list under `key` that was listed before."""
    seen = set()
    for index, value in enumerate(values):
        if value in seen:
            yield (key, index), f"{value!r} is listed twice"
        seen.add(value)
