"""What the columns of a click log mean: one frozen model for each feature type."""

from typing import Annotated, Literal

from pydantic import Field

from recsys.config.section import BY_SHAPE, Section, chosen_by, shape_tag, tag

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

ListedValue = Annotated[Annotated[int, shape_tag("integer")] | Annotated[str, shape_tag("text")], BY_SHAPE]
Vocabulary = Annotated[
    Annotated[Literal["learnt", "open"], shape_tag("text")]
    | Annotated[tuple[ListedValue, ...], Field(min_length=1), shape_tag("list")],
    BY_SHAPE,
]
DatetimePart = Literal["minute", "hour", "weekday", "weekend", "day", "month"]
Name = Annotated[str, Field(min_length=1)]


class _Column(Section):
    column: Name | None = None
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
    """How the vectors of a row's values become one."""


class SequenceFeature(_Column):
    """A history, oldest first, of values of another feature; shares its vocabulary and its table."""

    type: Literal["sequence"]
    of: str
    """The `id` feature that the entries are values of."""
    separator: Annotated[str, Field(min_length=1)] | None = None
    """Splits a text column; a list column needs none."""
    max_len: Annotated[int, Field(ge=1)] = 50
    """The last (most recent) this many entries are kept."""
    behaviour: Name | None = None
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
    boundaries: Annotated[tuple[float, ...], Field(min_length=1)] | None = None
    """Strictly increasing; bucket i holds boundaries[i-1] <= x < boundaries[i]."""
    quantiles: Annotated[int, Field(ge=2)] | None = None
    """Number of buckets of about equal size on the training split."""


class CrossFeature(Section):
    """The combination of several single-valued features, as one id."""

    type: Literal["cross"]
    of: Annotated[tuple[str, ...], Field(min_length=2)]
    """Names of `id` features."""
    vocabulary: Literal["learnt", "open"] = "learnt"
    """learnt: the combinations of the training split; open: any combination, hashed."""
    min_count: Annotated[int, Field(ge=1)] = 1
    """Combinations seen fewer times in training are unknown (id 0)."""
    max_size: Annotated[int, Field(ge=1)] | None = None
    """Keep only this many combinations, the most frequent ones."""


class DatetimeFeature(_Column):
    """A point in time; each part becomes an id field called NAME.PART. Times are read as UTC."""

    type: Literal["datetime"]
    parts: Annotated[tuple[DatetimePart, ...], Field(min_length=1)] = ("hour", "weekday")
    """Each is one field; Monday is the first weekday."""
    format: str | None = None
    """strptime format of a text or integer column, e.g. "%y%m%d%H" for 14102100."""
    unit: Literal["s", "ms", "us"] = "s"
    """Unit of an integer column (Unix time) without a format."""


Feature = Annotated[
    Annotated[IdFeature, tag("type", "id")]
    | Annotated[IdsFeature, tag("type", "ids")]
    | Annotated[SequenceFeature, tag("type", "sequence")]
    | Annotated[NumberFeature, tag("type", "number")]
    | Annotated[BucketFeature, tag("type", "bucket")]
    | Annotated[CrossFeature, tag("type", "cross")]
    | Annotated[DatetimeFeature, tag("type", "datetime")],
    chosen_by("type"),
]
