"""`type: sequence`: a history of values of another feature."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field as Limits

from recsys.config.feature_types.base import ColumnSection, FeatureSection, Field, InputForm, Kind, ListLimit, Name
from recsys.config.feature_types.vocabulary import ListedValue
from recsys.config.limits import ListLength
from recsys.config.problems import KeyPath

__all__ = ["SequenceFeature"]


class SequenceFeature(ColumnSection):
    """A history, oldest first, of values of another feature; shares its vocabulary and its table."""

    implementation: ClassVar[str | type] = "recsys.features.types.sequence:Sequence"
    exported: ClassVar[str] = "recsys.export.types.sequence:ExportedSequence"
    kind: ClassVar[Kind] = "sequence"
    input: ClassVar[InputForm | None] = "lists"
    has_keys: ClassVar[bool] = True

    type: Literal["sequence"]
    of: str
    """The `id` feature that the entries are values of."""
    separator: Annotated[str, Limits(min_length=1)] | None = None
    """Splits a text column; a list column, and texts such as [3, 7], need none."""
    padding: ListedValue | None = None
    """Value that is no entry: it only fills lists up to a common length."""
    max_len: ListLength = 50
    """The last (most recent) this many entries are kept."""
    behaviour: Name | None = None
    """Sequences with the same behaviour are aligned: entry i of each is the same event. Own name when not given."""

    def owner(self, name: str) -> str:
        """Return the feature that the entries are values of."""
        del name
        return self.of

    def fields(self, name: str, features: Mapping[str, FeatureSection]) -> Iterator[Field]:
        """Yield the one field; it is open if the feature named by `of` has an open vocabulary."""
        owner = features.get(self.of)
        yield Field(
            name=name,
            kind="sequence",
            feature=name,
            vocabulary=self.of,
            open=owner is not None and owner.is_open,
            pooling="mean",
            behaviour=self.behaviour_of(name),
        )

    def list_limit(self) -> ListLimit:
        """Return that the last `max_len` entries are kept."""
        return ListLimit(self.max_len, keeps_last=True)

    def behaviour_of(self, name: str) -> str:
        """Return `behaviour`, or the feature's name."""
        return self.behaviour or name

    def vocabulary_form(self) -> str:
        """Return "of FEATURE", the feature whose vocabulary is shared."""
        return f"of {self.of}"

    def input_facts(self) -> dict[str, Any]:
        """Return how a text is split, and how many entries are kept."""
        facts = {"separator": self.separator, "max_len": self.max_len}
        return facts if self.padding is None else facts | {"padding": self.padding}

    def references(self) -> Iterator[tuple[KeyPath, str]]:
        """Yield the key `of` and the name of its feature."""
        yield ("of",), self.of
