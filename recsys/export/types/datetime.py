"""`type: datetime` in the exported graph.

Dimension key: V values of one input.
"""

import torch
from torch import Tensor, nn

from recsys.config.feature_types import DatetimeFeature, DatetimePart, Field
from recsys.export.types.base import ExportedFeature
from recsys.features.fingerprint import NULL_KEY
from recsys.features.state import TransformState

__all__ = ["DatetimeEncoder", "ExportedDatetime"]


class ExportedDatetime(ExportedFeature[DatetimeFeature]):
    """One point in time a row -> the id of each of its parts."""

    def encoder(self, field: Field, state: TransformState) -> nn.Module:
        """Return the calendar of one part."""
        del state
        return DatetimeEncoder(self.feature.part_of(field.name))


class DatetimeEncoder(nn.Module):
    """One part of a point in time: Unix seconds (V,) int64 -> 1 + the part (V,) int64; 0 for `NULL_KEY`.

    Days and months count from 0, weekdays from Monday. Times before 1970 are negative, so all divisions round down.
    """

    def __init__(self, part: DatetimePart) -> None:
        super().__init__()
        self.part = part
        self.null_key = NULL_KEY

    def forward(self, second_V: Tensor) -> Tensor:
        """Take the part of each time."""
        day_V = floor_divide(second_V, 86400)
        second_of_day_V = second_V - day_V * 86400
        weekday_V = torch.remainder(day_V + 3, 7)  # 1970-01-01 was a Thursday
        if self.part == "minute":
            part_V = torch.remainder(floor_divide(second_of_day_V, 60), 60)
        elif self.part == "hour":
            part_V = floor_divide(second_of_day_V, 3600)
        elif self.part == "weekday":
            part_V = weekday_V
        elif self.part == "weekend":
            part_V = (weekday_V >= 5).long()
        else:
            month_V, day_of_month_V = civil(day_V)
            part_V = month_V if self.part == "month" else day_of_month_V
        return torch.where(second_V == self.null_key, 0, part_V + 1)


def floor_divide(x: Tensor, by: int) -> Tensor:
    """Divide integers, rounding down (also below zero)."""
    return torch.div(x, by, rounding_mode="floor")


def civil(day_V: Tensor) -> tuple[Tensor, Tensor]:
    """Month (0-11) and day of the month (0-30) of days since 1970-01-01 in the Gregorian calendar.

    Years are taken to begin in March, so that the leap day is the last one; the lengths of the months from March on
    then follow (153 m + 2) / 5. An era is 400 years, 146097 days.

    >>> [int(part) for part in civil(torch.tensor(-1))]  # 1969-12-31
    [11, 30]
    """
    day_V = day_V + 719468  # since 0000-03-01
    day_of_era_V = day_V - floor_divide(day_V, 146097) * 146097
    leaps_V = floor_divide(day_of_era_V, 1460) - floor_divide(day_of_era_V, 36524) + floor_divide(day_of_era_V, 146096)
    year_V = floor_divide(day_of_era_V - leaps_V, 365)
    first_day_V = 365 * year_V + floor_divide(year_V, 4) - floor_divide(year_V, 100)
    day_of_year_V = day_of_era_V - first_day_V
    march_month_V = floor_divide(5 * day_of_year_V + 2, 153)
    day_of_month_V = day_of_year_V - floor_divide(153 * march_month_V + 2, 5)
    return torch.remainder(march_month_V + 2, 12), day_of_month_V
