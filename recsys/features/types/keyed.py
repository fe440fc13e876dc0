"""Shared by the types with a vocabulary: keys are counted, and looked up."""

from typing import TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.config.feature_types import CrossFeature, Field, IdFeature, IdsFeature, SequenceFeature
from recsys.config.kept import kept_file
from recsys.errors import DataError
from recsys.features.fingerprint import Keys
from recsys.features.kept import kept_kind, read_kept
from recsys.features.state import TransformState
from recsys.features.types.base import FeatureHandler, Fit
from recsys.features.values import BadValue, to_keys
from recsys.features.vocabulary import VocabularyCounter

__all__ = ["KeyedHandler", "VocabularyFit", "encode_keys"]

S = TypeVar("S", IdFeature, IdsFeature, SequenceFeature, CrossFeature)


class VocabularyFit(Fit):
    """Counts the keys of a feature, those of its histories included.

    Args:
        name: name of the feature.
        feature: section of the feature, which limits the vocabulary.
    """

    def __init__(self, name: str, feature: IdFeature | IdsFeature | SequenceFeature | CrossFeature) -> None:
        self.name = name
        self.feature = feature
        self.counter = VocabularyCounter()

    def add(self, values: Keys) -> None:
        """Count keys, shape (V,)."""
        self.counter.add(values)

    def merge(self, other: "VocabularyFit") -> None:
        """Count all that `other` has counted."""
        self.counter.merge(other.counter)

    def finish(self, state: TransformState) -> None:
        """Write the vocabulary.

        Raises:
            DataError: a listed value is text, and the column holds integers; or the file of kept values is not theirs.
        """
        listed = self.feature.vocabulary
        if isinstance(listed, str):
            only = self._kept(state)
            found = self.counter.finish(min_count=self.feature.min_count, max_size=self.feature.max_size, only=only)
            state.vocabularies[self.name] = found
            return
        try:
            keys = to_keys(pl.Series([str(value) for value in listed], dtype=pl.String), state.key_kinds[self.name])
        except BadValue as error:
            raise DataError(f"features.{self.name}.vocabulary: {error}, since the column holds integers") from error
        state.vocabularies[self.name] = self.counter.finish_listed(keys.to_list())

    def _kept(self, state: TransformState) -> Keys | None:
        """Return the only keys that may have ids; None if all may."""
        file = kept_file(self.feature)
        if file is None:
            return None
        kind = kept_kind(self.name, self.feature, state.key_kinds)
        keys = read_kept(file, kind, where=f"features.{self.name}.kept")
        state.extras[self.name] = {"kept": len(keys)}
        return keys


class KeyedHandler(FeatureHandler[S]):
    """Base of the handlers whose features have a vocabulary of their own."""

    def fit(self) -> Fit | None:
        """Return an empty count of keys; None if the vocabulary is open."""
        return None if self.feature.is_open else VocabularyFit(self.name, self.feature)


def encode_keys(keys: Keys, field: Field, state: TransformState) -> Keys | NDArray[np.int32]:
    """Return the ids of keys, (V,) -> (V,) int32; the int64 keys themselves where the vocabulary is open."""
    assert field.vocabulary is not None
    return keys if field.open else state.vocabularies[field.vocabulary].encode(keys)
