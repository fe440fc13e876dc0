"""Learn vocabularies, scalings and boundaries from the training split, in one pass, chunk by chunk."""

from collections.abc import Iterable, Mapping

import polars as pl

from recsys.config.resolved import ResolvedConfig
from recsys.errors import DataError
from recsys.features.fingerprint import KeyKind
from recsys.features.state import TransformState
from recsys.features.transform import canonicalize
from recsys.features.types import Fit, handlers_of
from recsys.features.values import key_kind

__all__ = ["Fitting", "fit", "key_kinds"]


def fit(frames: Iterable[pl.DataFrame], resolved: ResolvedConfig) -> TransformState:
    """Fit to raw frames of the training split, one after another.

    Raises:
        DataError: there are no rows, or a column or value is not what the configuration promises.
    """
    unfitted, fitting = TransformState(), Fitting(resolved)
    for frame in frames:
        if not unfitted.key_kinds:
            unfitted = TransformState(key_kinds=key_kinds(resolved, frame.schema))
        fitting.add(canonicalize(frame, resolved, unfitted))
    return fitting.finish(unfitted.key_kinds)


def key_kinds(resolved: ResolvedConfig, columns: Mapping[str, pl.DataType]) -> dict[str, KeyKind]:
    """Return how the values of each feature with keys become keys; a sequence follows what it is `of`.

    Args:
        resolved: its features.
        columns: column -> type, of the training files; of another split where these have no type for it.
    """
    kinds: dict[str, KeyKind] = {}
    for name, feature in resolved.features.items():
        if feature.has_keys:
            owner = feature.owner(name)
            column = resolved.features[owner].column_of(owner)
            kinds[name] = key_kind(columns.get(column or owner, pl.Null()))
    return kinds


class Fitting:
    """All that is counted and measured while fitting. Parts fitted to different rows can be merged.

    Vocabularies and boundaries depend neither on the parts nor on their order; means and variances do in the last
    bits, so merge parts in the order of the rows.

    Attributes:
        num_rows: rows seen so far.
    """

    def __init__(self, resolved: ResolvedConfig) -> None:
        self.num_rows = 0
        self._handlers = handlers_of(resolved.features)
        fits = {name: handler.fit() for name, handler in self._handlers.items()}
        self._fits: dict[str, Fit] = {name: fit for name, fit in fits.items() if fit is not None}

    def add(self, frame: pl.DataFrame) -> None:
        """Learn from the rows of a canonical frame."""
        self.num_rows += len(frame)
        for name, handler in self._handlers.items():
            fit = self._fits.get(handler.feature.owner(name))
            if fit is not None:
                fit.add(handler.values(frame))

    def merge(self, other: "Fitting") -> None:
        """Take over everything `other` has learned from rows that come after these; `other` is used up."""
        self.num_rows += other.num_rows
        for name, fit in other._fits.items():
            self._fits[name].merge(fit)

    def finish(self, kinds: dict[str, KeyKind]) -> TransformState:
        """Return the fitted state.

        Args:
            kinds: the result of `key_kinds` for the training files.

        Raises:
            DataError: there were no rows, or a listed vocabulary has a value that its column cannot have.
        """
        if self.num_rows == 0:
            raise DataError("the training split has no rows: nothing can be fitted")
        state = TransformState(key_kinds=kinds, num_rows=self.num_rows)
        for fit in self._fits.values():
            fit.finish(state)
        return state
