"""What the columns of a click log mean: one frozen model for each feature type."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = [
    "BucketFeature",
    "CrossFeature",
    "DatetimeFeature",
    "DatetimePart",
    "Feature",
    "IdFeature",
    "IdsFeature",
    "NumberFeature",
    "Section",
    "SequenceFeature",
]


class Section(BaseModel):
    """Base of all sections of the file: unknown keys are errors, objects do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


Vocabulary = Literal["learnt", "open"] | tuple[int | str, ...]
DatetimePart = Literal["minute", "hour", "weekday", "weekend", "day", "month"]


class _Column(Section):
    column: str | None = None
    """Column of the file; the feature's own name when not given."""


class _WithVocabulary(_Column):
    vocabulary: Vocabulary = "learnt"
    """learnt: the values of the training split; open: any value, hashed; or a list of the values."""
    min_count: Annotated[int, Field(ge=1)] = 1
    """Values seen fewer times in training are unknown (id 0)."""
    max_size: Annotated[int, Field(ge=1)] | None = None
    """Keep only this many values, the most frequent ones."""


class IdFeature(_WithVocabulary):
    """A categorical column with one value a row (string, integer, boolean)."""

    type: Literal["id"]


class IdsFeature(_WithVocabulary):
    """A categorical column with any number of values a row, pooled into one vector."""

    type: Literal["ids"]
    separator: Annotated[str, Field(min_length=1)] | None = None
    """Splits a text column; a list column needs none."""
    max_len: Annotated[int, Field(ge=1)] = 32
    """The first this many values of a row are kept."""
    pooling: Literal["mean", "sum"] = "mean"


class SequenceFeature(_Column):
    """A history, oldest first, of values of another feature; shares its vocabulary and its table."""

    type: Literal["sequence"]
    of: str
    """The `id` feature that the entries are values of."""
    separator: Annotated[str, Field(min_length=1)] | None = None
    max_len: Annotated[int, Field(ge=1)] = 50
    """The last (most recent) this many entries are kept."""
    behaviour: str | None = None
    """Sequences with the same behaviour are aligned: entry i of each is the same event. Own name when not given."""


class NumberFeature(_Column):
    """A numeric column. Null, NaN and infinities are missing; a missing number becomes 0 after normalising."""

    type: Literal["number"]
    transform: Literal["none", "log1p", "log_squared"] = "none"
    """log1p: sign(x) log(1 + |x|). log_squared: log(x)^2 above 2, else x (AutoInt)."""
    normalize: Literal["none", "standard", "minmax"] = "none"
    """standard: mean 0, variance 1 on the training split; minmax: clipped to [0, 1]."""


class BucketFeature(_Column):
    """A numeric column cut into buckets, each of which is an id. Missing values have a bucket of their own."""

    type: Literal["bucket"]
    boundaries: tuple[float, ...] | None = None
    """Strictly increasing; bucket i holds boundaries[i-1] <= x < boundaries[i]."""
    quantiles: Annotated[int, Field(ge=2)] | None = None
    """Number of buckets of about equal size on the training split."""


class CrossFeature(Section):
    """The combination of several single-valued features, as one id."""

    type: Literal["cross"]
    of: Annotated[tuple[str, ...], Field(min_length=2)]
    """Names of `id` features."""
    vocabulary: Literal["learnt", "open"] = "learnt"
    min_count: Annotated[int, Field(ge=1)] = 1
    max_size: Annotated[int, Field(ge=1)] | None = None


class DatetimeFeature(_Column):
    """A point in time; each part becomes an id field called NAME.PART. Times are read as UTC."""

    type: Literal["datetime"]
    parts: Annotated[tuple[DatetimePart, ...], Field(min_length=1)] = ("hour", "weekday")
    format: str | None = None
    """strptime format of a text or integer column, e.g. "%y%m%d%H" for 14102100."""
    unit: Literal["s", "ms", "us"] = "s"
    """Unit of an integer column (Unix time) without a format."""


Feature = Annotated[
    IdFeature
    | IdsFeature
    | SequenceFeature
    | NumberFeature
    | BucketFeature
    | CrossFeature
    | DatetimeFeature,
    Field(discriminator="type"),
]
