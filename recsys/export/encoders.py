"""Raw values -> ids and numbers, in ATen operations that TorchScript knows: what `recsys.features.transform` does.

Dimension key: B rows, N number fields, V values of one input (B of them, or the entries of all lists).
"""

import torch
from torch import Tensor, nn

from recsys.config.features import DatetimePart
from recsys.embeddings.hashing import mix64
from recsys.features.fingerprint import NULL_KEY
from recsys.features.moments import NumberState
from recsys.features.values import FLOAT32_MAX
from recsys.features.vocabulary import Vocabulary

__all__ = [
    "BucketEncoder",
    "DatetimeEncoder",
    "FieldsEncoder",
    "NumbersEncoder",
    "OpenEncoder",
    "VocabularyEncoder",
    "cross_key",
]


class VocabularyEncoder(nn.Module):
    """Ids of int64 keys: (V,) int64 -> (V,) int64; 0 for a key that the vocabulary does not hold."""

    keys: Tensor
    ids: Tensor

    def __init__(self, vocabulary: Vocabulary) -> None:
        super().__init__()
        self.register_buffer("keys", torch.as_tensor(vocabulary.keys.copy()))
        self.register_buffer("ids", torch.as_tensor(vocabulary.ids.copy()))

    def forward(self, key_V: Tensor) -> Tensor:
        if self.keys.numel() == 0:
            return torch.zeros_like(key_V)
        place_V = torch.searchsorted(self.keys, key_V).clamp(max=self.keys.numel() - 1)
        return torch.where(self.keys[place_V] == key_V, self.ids[place_V].long(), 0)


class OpenEncoder(nn.Module):
    """Keys of an open vocabulary are the ids: (V,) int64 -> (V,) int64."""

    def forward(self, key_V: Tensor) -> Tensor:
        return key_V


class BucketEncoder(nn.Module):
    """Bucket of each number: (V,) float64 -> (V,) int64; 0 if missing, else 1 + the number of boundaries <= x."""

    boundaries: Tensor

    def __init__(self, boundaries: Tensor) -> None:
        super().__init__()
        self.largest = FLOAT32_MAX
        self.register_buffer("boundaries", boundaries)

    def forward(self, x_V: Tensor) -> Tensor:
        bucket_V = torch.searchsorted(self.boundaries, x_V, right=True) + 1
        return torch.where(x_V.abs() <= self.largest, bucket_V, 0)


class DatetimeEncoder(nn.Module):
    """One part of a point in time: Unix seconds (V,) int64 -> 1 + the part (V,) int64; 0 for `NULL_KEY`.

    Days and months count from 0, weekdays from Monday. Times before 1970 are negative, so all divisions round down.
    """

    def __init__(self, part: DatetimePart) -> None:
        super().__init__()
        self.part = part
        self.null_key = NULL_KEY

    def forward(self, second_V: Tensor) -> Tensor:
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


class FieldsEncoder(nn.Module):
    """All fields that share one vocabulary, so that the exported file holds it once.

    Args:
        encode: values (V,) -> ids (V,) int64.
        sources: field -> the inputs it is made of; several of them for a cross.
    """

    fields: list[str]
    sources: list[list[str]]

    def __init__(self, encode: nn.Module, sources: dict[str, list[str]]) -> None:
        super().__init__()
        self.encode = encode
        self.fields = list(sources)
        self.sources = list(sources.values())

    def forward(self, raw: dict[str, Tensor], ids: dict[str, Tensor]) -> None:
        """Add the ids of each field to `ids`."""
        for field, names in zip(self.fields, self.sources):  # noqa: B905  # TorchScript knows no strict=
            value_V = raw[names[0]]
            if len(names) > 1:
                value_V = cross_key([raw[name] for name in names])
            ids[field] = self.encode(value_V)


class NumbersEncoder(nn.Module):
    """Number fields, transformed and normalised: N inputs (B,) float64 -> (B, N) float32; a missing number is 0."""

    names: list[str]
    is_log1p: Tensor
    is_log_squared: Tensor
    is_clipped: Tensor
    shift: Tensor
    scale: Tensor

    def __init__(self, states: dict[str, NumberState]) -> None:
        super().__init__()
        self.names = list(states)
        numbers = list(states.values())
        self.register_buffer("is_log1p", torch.tensor([n.transform == "log1p" for n in numbers], dtype=torch.bool))
        self.register_buffer(
            "is_log_squared", torch.tensor([n.transform == "log_squared" for n in numbers], dtype=torch.bool)
        )
        self.largest = FLOAT32_MAX
        self.register_buffer("is_clipped", torch.tensor([n.clip for n in numbers], dtype=torch.bool))
        self.register_buffer("shift", torch.tensor([n.shift for n in numbers], dtype=torch.float64))
        self.register_buffer("scale", torch.tensor([n.scale for n in numbers], dtype=torch.float64))

    def forward(self, raw: dict[str, Tensor], num_rows: int) -> Tensor:
        if len(self.names) == 0:
            return torch.zeros(num_rows, 0, device=self.shift.device)
        raw_BN = torch.stack([raw[name] for name in self.names], dim=1)
        is_given_BN = raw_BN.abs() <= self.largest  # false for NaN, too
        x_BN = torch.where(is_given_BN, raw_BN, 0.0)
        x_BN = torch.where(self.is_log1p, torch.sign(x_BN) * torch.log1p(x_BN.abs()), x_BN)
        x_BN = torch.where(self.is_log_squared & (x_BN > 2), torch.log(x_BN.clamp(min=2.0)).square(), x_BN)
        x_BN = (x_BN - self.shift) * self.scale
        x_BN = torch.where(self.is_clipped, x_BN.clamp(0.0, 1.0), x_BN)
        return torch.where(is_given_BN, x_BN, 0.0).float()


def cross_key(keys: list[Tensor]) -> Tensor:
    """Fold the keys of a cross, each (B,) int64, into one (B,) int64."""
    folded = mix64(keys[0])
    for i in range(1, len(keys)):
        folded = mix64(folded ^ keys[i])
    return folded


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
