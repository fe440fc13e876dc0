"""`type: ids`: several categorical values a row."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field as Limits

from recsys.config.feature_types.base import FeatureSection, Field, InputForm, Kind, ListLimit
from recsys.config.feature_types.vocabulary import ListedValue, VocabularySection
from recsys.config.limits import ListLength

__all__ = ["IdsFeature"]


class IdsFeature(VocabularySection):
    """A categorical column with any number of values a row, pooled into one vector."""

    implementation: ClassVar[str | type] = "recsys.features.types.ids:Ids"
    exported: ClassVar[str] = "recsys.export.types.ids:ExportedIds"
    kind: ClassVar[Kind] = "ids"
    input: ClassVar[InputForm | None] = "lists"
    has_keys: ClassVar[bool] = True

    type: Literal["ids"]
    separator: Annotated[str, Limits(min_length=1)] | None = None
    """Splits a text column; a list column, and texts such as [3, 7], need none."""
    padding: ListedValue | None = None
    """Value that is no entry: it only fills lists up to a common length."""
    max_len: ListLength = 32
    """The first this many values of a row are kept."""
    pooling: Literal["mean", "sum"] = "mean"
    """Operation that makes one vector of the vectors of a row's values."""

    def fields(self, name: str, features: Mapping[str, FeatureSection]) -> Iterator[Field]:
        """Yield the one field, with its pooling."""
        del features
        yield Field(name=name, kind="ids", feature=name, vocabulary=name, open=self.is_open, pooling=self.pooling)

    def list_limit(self) -> ListLimit:
        """Return that the first `max_len` values are kept."""
        return ListLimit(self.max_len, keeps_last=False)

    def input_facts(self) -> dict[str, Any]:
        """Return how a text is split, and how many values are kept."""
        facts = {"separator": self.separator, "max_len": self.max_len}
        return facts if self.padding is None else facts | {"padding": self.padding}
