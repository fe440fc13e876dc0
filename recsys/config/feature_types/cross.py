"""`type: cross`: the combination of several features, as one id."""

from collections.abc import Iterator, Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from recsys.config.feature_types.base import FeatureSection, InputForm, repeated_values
from recsys.config.feature_types.kept import Kept
from recsys.config.feature_types.vocabulary import vocabulary_form, vocabulary_problems
from recsys.config.limits import Count
from recsys.config.problems import KeyPath

__all__ = ["CrossFeature"]


class CrossFeature(FeatureSection):
    """The combination of several single-valued features, as one id."""

    implementation: ClassVar[str | type] = "recsys.features.types.cross:Cross"
    exported: ClassVar[str] = "recsys.export.types.cross:ExportedCross"
    input: ClassVar[InputForm | None] = None

    type: Literal["cross"]
    of: Annotated[tuple[str, ...], Field(min_length=2)]
    """Names of `id` features."""
    vocabulary: Literal["learnt", "open"] = "learnt"
    """learnt: the combinations of the training split; open: any combination, hashed."""
    min_count: Count = 1
    """Combinations seen fewer times in training are unknown (id 0)."""
    max_size: Count | None = None
    """Keep only this many combinations, the most frequent ones."""
    kept: Kept | None = None
    """Parquet file of keys; all other combinations are unknown. Searches write such files."""

    @property
    def is_open(self) -> bool:
        """Whether any combination is an id of its own."""
        return self.vocabulary == "open"

    def column_of(self, name: str) -> str | None:
        """Return None: a cross reads other features."""
        del name
        return None

    def inputs(self, name: str) -> Sequence[str]:
        """Return the features that are combined."""
        del name
        return self.of

    def vocabulary_form(self) -> str:
        """Return learnt or open."""
        return vocabulary_form(self.vocabulary)

    def check(self) -> Iterator[tuple[KeyPath, str]]:
        """Yield limits that have no effect, and features that are listed twice."""
        yield from vocabulary_problems(self)
        yield from repeated_values("of", self.of)

    def references(self) -> Iterator[tuple[KeyPath, str]]:
        """Yield the features that are combined."""
        yield from ((("of", index), name) for index, name in enumerate(self.of))
