"""Learn vocabularies, scalings and boundaries from the training split, in one pass, piece by piece."""

from collections.abc import Iterable, Mapping

import numpy as np
import polars as pl

from recsys.config.features import (
    BucketFeature,
    CrossFeature,
    DatetimeFeature,
    IdFeature,
    IdsFeature,
    NumberFeature,
    SequenceFeature,
)
from recsys.config.resolved import Field, ResolvedConfig
from recsys.errors import DataError
from recsys.features.canonical import canonical
from recsys.features.fields import list_keys, single_keys
from recsys.features.fingerprint import KeyKind
from recsys.features.moments import Moments, Numbers, transformed
from recsys.features.quantiles import OrderedCounts, quantile_boundaries, to_ordered
from recsys.features.state import TransformState
from recsys.features.times import PART_SIZES
from recsys.features.values import BadValue, key_kind, to_keys
from recsys.features.vocabulary import Vocabulary, VocabularyCounter

__all__ = ["Fitting", "fit", "key_kinds"]


def fit(frames: Iterable[pl.DataFrame], resolved: ResolvedConfig) -> TransformState:
    """Fit to raw frames of the training split, one after another.

    Raises:
        DataError: no rows, or a column or value that is not what the plan promises.
    """
    unfitted, fitting = TransformState(), Fitting(resolved)
    for frame in frames:
        if not unfitted.key_kinds:
            unfitted = TransformState(key_kinds=key_kinds(resolved, frame.schema))
        fitting.add(canonical(frame, resolved, unfitted))
    return fitting.finish(unfitted.key_kinds)


def key_kinds(resolved: ResolvedConfig, columns: Mapping[str, pl.DataType]) -> dict[str, KeyKind]:
    """Say for each id, ids and sequence feature how its values become keys; a sequence follows what it is `of`."""
    kinds: dict[str, KeyKind] = {}
    for name, feature in resolved.features.items():
        owner = feature.of if isinstance(feature, SequenceFeature) else name
        of = resolved.features[owner]
        if isinstance(of, IdFeature | IdsFeature):
            kinds[name] = key_kind(columns.get(of.column or owner, pl.Null()))
    return kinds


class Fitting:
    """All that is counted and measured while fitting. Parts fitted to different rows can be merged.

    Vocabularies and boundaries depend neither on the parts nor on their order; means and variances do in the last
    bits, so merge parts in the order of the rows.
    """

    def __init__(self, resolved: ResolvedConfig) -> None:
        self.resolved = resolved
        self.num_rows = 0
        self.vocabularies = {
            field.name: VocabularyCounter() for field in resolved.fields if _has_vocabulary(resolved, field)
        }
        self.moments = {name: Moments() for name in _scaled(resolved)}
        self.ordered = {name: OrderedCounts() for name in _cut_at_quantiles(resolved)}

    def add(self, frame: pl.DataFrame) -> None:
        """Count the rows of a canonical frame."""
        self.num_rows += len(frame)
        for field in self.resolved.fields:
            if field.vocabulary in self.vocabularies:
                single = field.kind == "id"
                keys = (
                    single_keys(frame, self.resolved, field)
                    if single
                    else list_keys(frame, self.resolved, field).values
                )
                self.vocabularies[field.vocabulary].add(keys)
        for name, feature in _scaled(self.resolved).items():
            moments = Moments.of(transformed(frame[name].to_numpy(), feature.transform))
            self.moments[name] = self.moments[name].merged(moments)
        for name in self.ordered:
            numbers = frame[name].to_numpy()
            self.ordered[name].add(to_ordered(numbers[~np.isnan(numbers)]))

    def merge(self, other: "Fitting") -> None:
        """Take over everything `other` has counted in rows that come after these; `other` is used up."""
        self.num_rows += other.num_rows
        for name, vocabulary in other.vocabularies.items():
            self.vocabularies[name].merge(vocabulary)
        for name, moments in other.moments.items():
            self.moments[name] = self.moments[name].merged(moments)
        for name, ordered in other.ordered.items():
            self.ordered[name].merge(ordered)

    def finish(self, kinds: dict[str, KeyKind]) -> TransformState:
        """Return the fitted state.

        Raises:
            DataError: there were no rows, or a listed vocabulary has a value that its column cannot have.
        """
        if self.num_rows == 0:
            raise DataError("the training split has no rows: nothing can be fitted")
        numbers = {n: f for n, f in self.resolved.features.items() if isinstance(f, NumberFeature)}
        return TransformState(
            key_kinds=kinds,
            vocabularies={name: self._vocabulary(name, kinds) for name in self.vocabularies},
            numbers={name: self.moments.get(name, Moments()).state(feature) for name, feature in numbers.items()},
            boundaries=self._boundaries(),
            fixed_sizes=_part_sizes(self.resolved),
            num_rows=self.num_rows,
        )

    def _vocabulary(self, name: str, kinds: dict[str, KeyKind]) -> Vocabulary:
        feature = self.resolved.features[name]
        assert isinstance(feature, IdFeature | IdsFeature | CrossFeature)
        counter = self.vocabularies[name]
        if isinstance(feature.vocabulary, str):
            return counter.finish(min_count=feature.min_count, max_size=feature.max_size)
        try:
            keys = to_keys(pl.Series([str(value) for value in feature.vocabulary], dtype=pl.String), kinds[name])
        except BadValue as error:
            raise DataError(f"features.{name}.vocabulary: {error}, since the column holds integers") from error
        return counter.finish_listed(keys.to_list())

    def _boundaries(self) -> dict[str, Numbers]:
        found: dict[str, Numbers] = {}
        for name, feature in self.resolved.features.items():
            if isinstance(feature, BucketFeature):
                if name in self.ordered:
                    assert feature.quantiles is not None
                    found[name] = quantile_boundaries(self.ordered[name], feature.quantiles)
                else:
                    found[name] = np.array(feature.boundaries, dtype=np.float64)
        return found


def _has_vocabulary(resolved: ResolvedConfig, field: Field) -> bool:
    values = isinstance(resolved.features[field.feature], IdFeature | IdsFeature | CrossFeature)
    return values and not field.open and field.vocabulary == field.name


def _scaled(resolved: ResolvedConfig) -> dict[str, NumberFeature]:
    numbers = {name: feature for name, feature in resolved.features.items() if isinstance(feature, NumberFeature)}
    return {name: feature for name, feature in numbers.items() if feature.normalize != "none"}


def _cut_at_quantiles(resolved: ResolvedConfig) -> list[str]:
    buckets = {name: feature for name, feature in resolved.features.items() if isinstance(feature, BucketFeature)}
    return [name for name, feature in buckets.items() if feature.quantiles is not None]


def _part_sizes(resolved: ResolvedConfig) -> dict[str, int]:
    times = {name: feature for name, feature in resolved.features.items() if isinstance(feature, DatetimeFeature)}
    return {f"{name}.{part}": PART_SIZES[part] for name, feature in times.items() for part in feature.parts}
