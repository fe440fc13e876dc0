"""The section of a search by trials: which dims, schemes and other keys of the configuration may change."""

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema

from recsys.config.limits import DIMS, Share
from recsys.config.problems import KeyPath, did_you_mean
from recsys.config.section import BY_SHAPE, Section, shape_tag
from recsys.config.variants import all_variants

__all__ = ["Choices", "Dims", "NumberRange", "SearchSection"]

_MOST = 2**53
"""Numbers beyond it are no longer all told apart as floats, which samplers compute with."""


def _number(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("expected a number")
    if not -_MOST <= value <= _MOST:
        raise ValueError(f"must be between -{_MOST} and {_MOST}")
    return value


Number = Annotated[
    int | float,
    BeforeValidator(_number),
    WithJsonSchema({"type": "number", "minimum": -_MOST, "maximum": _MOST}),
]


class NumberRange(Section):
    """Numbers from which a search chooses: integers where the key takes no other."""

    low: Number
    """Smallest value."""
    high: Number
    """Largest value."""
    log: bool = False
    """Whether numbers are drawn evenly by their logarithm, as suits learning rates."""
    step: Annotated[Number, Field(gt=0)] | None = None
    """Distance between two values that may be chosen, counted from `low`."""

    def check(self) -> Iterator[tuple[KeyPath, str]]:
        if self.high <= self.low:
            yield ("high",), f"must be greater than low ({self.low:g}), got {self.high:g}"
        if self.log and self.low <= 0:
            yield ("low",), f"must be greater than 0, since `log` is true, got {self.low:g}"
        if self.step is not None and self.log:
            yield ("step",), "has no sense where `log` is true; leave out one of the two"
        elif self.step is not None and self.low + self.step > self.high:
            yield ("step",), f"must be at most high - low ({self.high - self.low:g}), got {self.step:g}"


DimChoice = Annotated[int, Field(ge=0, le=DIMS[-1], multiple_of=DIMS.step)]
"""Width of an embedding; 0 leaves the feature out."""
Dims = Annotated[tuple[DimChoice, ...], Field(min_length=1, max_length=len(DIMS) + 1)]
Choices = Annotated[tuple[Any, ...], Field(min_length=1, max_length=1000)]


class SearchSection(Section):
    """Says what a search by trials may change (`recsys search --method optuna`); without it, all widths."""

    dims: (
        Annotated[Annotated[Dims, shape_tag("list")] | Annotated[dict[str, Dims], shape_tag("mapping")], BY_SHAPE]
        | None
    ) = None
    """Widths to choose from: of all vocabularies, or by name or glob of features; the others then keep their width, so
    that `{}` searches none. By default 4, 8, 16 and 32, up to the width of the table. 0 leaves the feature out."""
    schemes: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    """Schemes to choose from for each vocabulary, named as `recsys compare-schemes` does: full, hash/per_feature."""
    shares: Annotated[tuple[Share, ...], Field(min_length=1, max_length=100)] = (0.5, 0.2, 0.1)
    """Budgets at which a scheme of `schemes` that takes one is tried: fractions of the full table."""
    space: dict[
        str,
        Annotated[Annotated[NumberRange, shape_tag("mapping")] | Annotated[Choices, shape_tag("list")], BY_SHAPE],
    ] = Field(default_factory=dict)
    """Other keys, by their path: `train.dense_optimizer.lr: {low: 1e-4, high: 0.1, log: true}`, or a list of values."""
    prune: bool = True
    """Whether a trial is stopped after an epoch in which it is far behind most that are no larger."""

    def check(self) -> Iterator[tuple[KeyPath, str]]:
        lists = (
            {(): self.dims} if isinstance(self.dims, tuple) else {(name,): d for name, d in (self.dims or {}).items()}
        )
        for key, dims in lists.items():
            yield from _repeated(("dims", *key), dims)
        yield from self._check_schemes()
        yield from _repeated(("shares",), self.shares)
        for path, values in self.space.items():
            if isinstance(values, NumberRange):
                yield from ((("space", path, *key), text) for key, text in values.check())
            else:
                yield from _repeated(("space", path), values)

    @classmethod
    def advice(cls, key: str) -> str:
        return "paths of other keys of the configuration go under search.space" if "." in key else ""

    def _check_schemes(self) -> Iterator[tuple[KeyPath, str]]:
        known = all_variants()
        yield from _repeated(("schemes",), self.schemes or ())
        for index, name in enumerate(self.schemes or ()):
            if name not in known:
                yield (
                    ("schemes", index),
                    f"unknown scheme {name!r}{did_you_mean(name, known)}; known are: {', '.join(known)}",
                )


def _repeated(path: KeyPath, values: tuple[Any, ...]) -> Iterator[tuple[KeyPath, str]]:
    """Yield the values of a list that stand in it already; 1 and true are two values."""
    for index, value in enumerate(values):
        if any(type(other) is type(value) and other == value for other in values[:index]):
            yield (*path, index), f"{value!r} is listed twice"
