"""The keys of a vocabulary, which several types share: they decide which values of a column are ids of their own."""

from collections.abc import Iterator
from typing import Annotated, Literal, Protocol

from pydantic import Field

from recsys.config.feature_types.base import ColumnSection, repeated_values
from recsys.config.feature_types.kept import Kept, KeptFile
from recsys.config.limits import Count
from recsys.config.problems import KeyPath
from recsys.config.section import BY_SHAPE, shape_tag

__all__ = ["ListedValue", "Vocabulary", "VocabularySection", "vocabulary_form", "vocabulary_problems"]

ListedValue = Annotated[
    Annotated[int, Field(ge=-(2**127), lt=2**128), shape_tag("integer")] | Annotated[str, shape_tag("text")], BY_SHAPE
]
Vocabulary = Annotated[
    Annotated[Literal["learnt", "open"], shape_tag("text")]
    | Annotated[tuple[ListedValue, ...], Field(min_length=1), shape_tag("list")],
    BY_SHAPE,
]


class VocabularySection(ColumnSection):
    """Base of the types whose values have a vocabulary."""

    vocabulary: Vocabulary = "learnt"
    """learnt: the values of the training split; open: any value, hashed; or a list of the values."""
    min_count: Count = 1
    """Values seen fewer times in training are unknown (id 0)."""
    max_size: Count | None = None
    """Keep only this many values, the most frequent ones."""
    kept: Kept | None = None
    """Parquet file of keys; all other values are unknown. Searches write such files."""

    @property
    def is_open(self) -> bool:
        """Whether any value is an id of its own."""
        return self.vocabulary == "open"

    def num_ids(self, field: str) -> int | None:
        """Return the number of listed values and one for all others; None if they are not listed."""
        del field
        return len(self.vocabulary) + 1 if isinstance(self.vocabulary, tuple) else None

    def vocabulary_form(self) -> str:
        """Return learnt, open or listed."""
        return vocabulary_form(self.vocabulary)

    def check(self) -> Iterator[tuple[KeyPath, str]]:
        """Yield limits that have no effect, and values that are listed twice or are of two types."""
        yield from vocabulary_problems(self)


def vocabulary_form(vocabulary: str | tuple[int | str, ...]) -> str:
    """Return learnt, open or listed."""
    return vocabulary if isinstance(vocabulary, str) else "listed"


class HasVocabulary(Protocol):
    """A section with a vocabulary and its limits."""

    @property
    def vocabulary(self) -> str | tuple[int | str, ...]:
        """Return where the ids come from."""
        ...

    @property
    def min_count(self) -> int:
        """Return the fewest occurrences of a value."""
        ...

    @property
    def max_size(self) -> int | None:
        """Return the most values."""
        ...

    @property
    def kept(self) -> KeptFile | str | None:
        """Return the file of the only values."""
        ...


def vocabulary_problems(section: HasVocabulary) -> Iterator[tuple[KeyPath, str]]:
    """Yield what is wrong with a vocabulary and its limits, which only a learnt one obeys."""
    vocabulary = section.vocabulary
    if vocabulary == "learnt":
        return
    form = "an open vocabulary" if vocabulary == "open" else "a listed vocabulary"
    given = {"min_count": section.min_count > 1, "max_size": section.max_size is not None}
    for key in [*(key for key, is_given in given.items() if is_given), *["kept"] * (section.kept is not None)]:
        yield (key,), f"has no effect with {form}; leave it out"
    if isinstance(vocabulary, tuple):
        yield from repeated_values("vocabulary", vocabulary)
        if len({type(value) for value in vocabulary}) > 1:
            yield ("vocabulary",), "must be all integers or all text, as the column is"
