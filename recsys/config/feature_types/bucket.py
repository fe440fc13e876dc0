"""`type: bucket`: a number cut into ranges, each of which is an id."""

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from recsys.config.feature_types.base import ColumnSection, InputForm
from recsys.config.problems import KeyPath

__all__ = ["BucketFeature"]

MOST_BUCKETS = 2**16
"""Buckets of one number; more would be an id for each value."""
Boundary = Annotated[float, Field(ge=-1e300, le=1e300)]


class BucketFeature(ColumnSection):
    """A numeric column cut into buckets, each of which is an id. Missing values have a bucket of their own."""

    implementation: ClassVar[str | type] = "recsys.features.types.bucket:Bucket"
    exported: ClassVar[str] = "recsys.export.types.bucket:ExportedBucket"
    input: ClassVar[InputForm | None] = "float64"

    type: Literal["bucket"]
    boundaries: Annotated[tuple[Boundary, ...], Field(min_length=1, max_length=MOST_BUCKETS)] | None = None
    """Strictly increasing; bucket i holds boundaries[i-1] <= x < boundaries[i]."""
    quantiles: Annotated[int, Field(ge=2, le=MOST_BUCKETS)] | None = None
    """Number of buckets of about equal size on the training split."""

    def num_ids(self, field: str) -> int | None:
        """Return one id for each bucket and one for missing values; None if the boundaries are quantiles."""
        del field
        return None if self.boundaries is None else len(self.boundaries) + 2

    def check(self) -> Iterator[tuple[KeyPath, str]]:
        """Yield that not exactly one of the two keys is given, and boundaries that do not increase."""
        if (self.boundaries is None) == (self.quantiles is None):
            given = "none" if self.quantiles is None else "both"
            yield (), f"needs exactly one of boundaries and quantiles, got {given}"
        boundaries = self.boundaries or ()
        for index in range(1, len(boundaries)):
            if boundaries[index] <= boundaries[index - 1]:
                text = f"must be strictly increasing, got {boundaries[index - 1]:g} before {boundaries[index]:g}"
                yield ("boundaries", index), text
