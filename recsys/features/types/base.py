"""Base of the handlers of all feature types: raw column -> canonical column -> the model's ids or numbers.

A handler serves one feature. The framework calls `canonicalize` on raw rows, `values` and `fit` on those of the
training split, and `encode` on canonical rows, once for each field of the feature.
"""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

import polars as pl
import pyarrow as pa

from recsys.config.feature_types import FeatureSection, Field
from recsys.features.column_profile import ColumnProfile
from recsys.features.fingerprint import KeyKind
from recsys.features.state import TransformState

__all__ = ["FeatureHandler", "Fit", "FixedFit", "Offer"]

S = TypeVar("S", bound=FeatureSection)


class Fit(ABC):
    """Base of what features learn from the training rows. Fits of different rows can be merged."""

    @abstractmethod
    def add(self, values: Any) -> None:
        """Learn from an array that `FeatureHandler.values` returned, shape (V,)."""

    @abstractmethod
    def merge(self, other: Any) -> None:
        """Take over what a fit of the same feature has learned from later rows; `other` is used up."""

    @abstractmethod
    def finish(self, state: TransformState) -> None:
        """Write what was learned into `state`, whose `key_kinds` are known already."""


class FixedFit(Fit):
    """The fit of a feature that learns nothing: how many ids its fields have follows from the configuration.

    Args:
        name: name of the feature.
        section: section of the feature, whose `num_ids` tells the number of ids of each field.
    """

    def __init__(self, name: str, section: FeatureSection) -> None:
        self.name = name
        self.section = section

    def add(self, values: Any) -> None:
        """Do nothing."""

    def merge(self, other: Any) -> None:
        """Do nothing."""

    def finish(self, state: TransformState) -> None:
        """Write the number of ids of each field."""
        for field in self.section.fields(self.name, {}):
            num_ids = self.section.num_ids(field.name)
            if num_ids is not None:
                state.fixed_sizes[field.name] = num_ids


class Offer(NamedTuple):
    """A feature that `recsys init` may suggest for a column."""

    spec: dict[str, object]
    """Keys and values of the section, `type` first."""
    confidence: float
    """Number from 0 to 1; the most confident type gets the column. Built-in types: 1.0 for times and lists, .9 to .7
    for names and few values, .6 to .4 for what is left."""
    note: str = ""
    """Reason for the offer, where it is not plain."""
    sees_repetition: bool = False
    """The model sees equal values in many rows even if no two rows of the column are equal, as with parts of times and
    entries of lists. Else such a column is left out."""


class FeatureHandler(Generic[S]):
    """One feature of a type.

    Args:
        name: name of the feature.
        section: section of the feature in the file.
    """

    section: ClassVar[type[FeatureSection]]
    """The type's section, for `recsys.register_feature_type` and for import paths in a file."""

    def __init__(self, name: str, section: S) -> None:
        self.name = name
        self.feature = section

    def canonicalize(self, series: pl.Series, kind: KeyKind) -> pl.Series:
        """Return the canonical form of a raw column: Int64, Float64 or List(Int64), as the section's `input` says.

        Args:
            series: the column, of whatever type the file has.
            kind: way in which values become keys, for types with `has_keys`.

        Returns:
            A series of the same length without nulls: a missing value is `NULL_KEY`, NaN or the empty list.

        Raises:
            BadColumn: the type of the column does not fit.
            BadValue: one value does not fit.
        """
        raise NotImplementedError(f"type {self.feature.type} reads no column")

    def values(self, frame: pl.DataFrame) -> Any:
        """Return what is learned from in a canonical frame, an array (V,): the feature's column in general."""
        return frame[self.name].to_numpy()

    def fit(self) -> Fit | None:
        """Return an empty fit; None if the feature learns nothing, or shares what another one learns."""
        return FixedFit(self.name, self.feature)

    def encode(self, frame: pl.DataFrame, field: Field, state: TransformState) -> pa.Array:
        """Return the prepared column of one of the feature's fields.

        Args:
            frame: canonical rows.
            field: one of the feature's fields.
            state: the fitted state.

        Returns:
            (rows,) of the type `arrow_type(field)`, without nulls. Id 0 stands for unknown or missing values.
        """
        raise NotImplementedError(f"type {self.feature.type} does not encode {field.name}")

    @classmethod
    def suggest(cls, column: ColumnProfile) -> Offer | None:
        """Return the feature that `recsys init` may suggest for a column; None if the type does not fit it."""
        del column
        return None
