"""`type: sequence`: a history, of values of another feature or of its own."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field as Limits

from recsys.config.feature_types.base import FeatureSection, Field, InputForm, Kind, ListLimit, Name
from recsys.config.feature_types.vocabulary import ListedValue, VocabularySection
from recsys.config.limits import ListLength
from recsys.config.problems import KeyPath

__all__ = ["SequenceFeature"]


class SequenceFeature(VocabularySection):
    """A history, oldest first. `of` an `id` feature it shares that one's vocabulary and table; else it has its own."""

    implementation: ClassVar[str | type] = "recsys.features.types.sequence:Sequence"
    exported: ClassVar[str] = "recsys.export.types.sequence:ExportedSequence"
    kind: ClassVar[Kind] = "sequence"
    input: ClassVar[InputForm | None] = "lists"
    has_keys: ClassVar[bool] = True

    type: Literal["sequence"]
    of: str | None = None
    """The `id` feature that the entries are values of. Without it they are what no candidate has, such as ratings, and
    have a vocabulary and a table of their own."""
    separator: Annotated[str, Limits(min_length=1)] | None = None
    """Splits a text column; a list column, and texts such as [3, 7], need none."""
    padding: ListedValue | None = None
    """Value that is no entry: it only fills lists up to a common length."""
    max_len: ListLength = 50
    """The last (most recent) this many entries are kept."""
    behaviour: Name | None = None
    """Sequences with the same behaviour are aligned: entry i of each is the same event. Own name when not given."""

    def owner(self, name: str) -> str:
        """Return the feature that the entries are values of, if they are those of another one."""
        return name if self.of is None else self.of

    def fields(self, name: str, features: Mapping[str, FeatureSection]) -> Iterator[Field]:
        """Yield the one field; it is open if the feature that owns its vocabulary has an open one."""
        owner = self if self.of is None else features.get(self.of)
        yield Field(
            name=name,
            kind="sequence",
            feature=name,
            vocabulary=self.owner(name),
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
        """Return "of FEATURE", the feature whose vocabulary is shared, or where the ids come from."""
        return super().vocabulary_form() if self.of is None else f"of {self.of}"

    def input_facts(self) -> dict[str, Any]:
        """Return how a text is split, and how many entries are kept."""
        facts = {"separator": self.separator, "max_len": self.max_len}
        return facts if self.padding is None else facts | {"padding": self.padding}

    def references(self) -> Iterator[tuple[KeyPath, str]]:
        """Yield the key `of` and the name of its feature."""
        if self.of is not None:
            yield ("of",), self.of

    def check(self) -> Iterator[tuple[KeyPath, str]]:
        """Yield what is wrong with a vocabulary of its own, or that there is none to limit."""
        if self.of is None:
            yield from super().check()
            return
        for key in VocabularySection.__annotations__:
            if getattr(self, key) != type(self).model_fields[key].default:
                yield (key,), f"has no effect, since the entries are values of {self.of!r}: state it there"
