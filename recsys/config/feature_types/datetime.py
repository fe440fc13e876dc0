"""`type: datetime`: a point in time, of which some parts are ids."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field as Limits

from recsys.config.feature_types.base import ColumnSection, FeatureSection, Field, repeated_values
from recsys.config.problems import KeyPath

__all__ = ["PART_SIZES", "DatetimeFeature", "DatetimePart", "TimeUnit"]

DatetimePart = Literal["minute", "hour", "weekday", "weekend", "day", "month"]
TimeUnit = Literal["s", "ms", "us", "ns"]
PART_SIZES: dict[DatetimePart, int] = {"minute": 61, "hour": 25, "weekday": 8, "weekend": 3, "day": 32, "month": 13}
"""Number of ids of each part; id 0 is a missing time."""


class DatetimeFeature(ColumnSection):
    """A point in time; each part becomes an id field called NAME.PART. Times are read as UTC."""

    implementation: ClassVar[str | type] = "recsys.features.types.datetime:Datetime"
    exported: ClassVar[str] = "recsys.export.types.datetime:ExportedDatetime"
    reads_time: ClassVar[bool] = True

    type: Literal["datetime"]
    parts: Annotated[tuple[DatetimePart, ...], Limits(min_length=1)] = ("hour", "weekday")
    """Each is one field; Monday is the first weekday."""
    format: str | None = None
    """strptime format of a text or integer column, e.g. "%y%m%d%H" for 14102100."""
    unit: TimeUnit = "s"
    """Unit of an integer column (Unix time) without a format."""

    def fields(self, name: str, features: Mapping[str, FeatureSection]) -> Iterator[Field]:
        """Yield one field for each part."""
        del features
        for part in self.parts:
            yield Field(name=f"{name}.{part}", kind="id", feature=name, vocabulary=f"{name}.{part}")

    def part_of(self, field: str) -> DatetimePart:
        """Return the part that the field called NAME.PART holds."""
        return next(part for part in self.parts if field.endswith(f".{part}"))

    def num_ids(self, field: str) -> int:
        """Return the number of values of the part, and one for a missing time."""
        return PART_SIZES[self.part_of(field)]

    def input_facts(self) -> dict[str, Any]:
        """Return what the canonical integers are, and how texts and integers of a file are read."""
        return {"is": "Unix seconds, UTC", "format": self.format, "unit": self.unit}

    def check(self) -> Iterator[tuple[KeyPath, str]]:
        """Yield parts that are listed twice, and keys that do not fit the format."""
        yield from repeated_values("parts", self.parts)
        if self.format is None:
            return
        if "%" not in self.format:
            yield ("format",), f"must have fields such as %Y, got {self.format!r}"
        if self.unit != "s":
            yield ("unit",), "has no effect with a format; leave it out"
