"""The first trials of a search: what is known before anything is trained.

They are the user's configuration, uniform widths served in 16 bits, and widths that follow from the sizes of
vocabularies, by two rules that contradict each other, as large as they may be and as the budget allows:

- wider where there are more values: width ~ ids^0.25, the rule of thumb of Google's "Introducing TensorFlow feature
  columns", 2017;
- narrower where there are more values, since most of them are rare: width ~ ids^-0.3, Ginart et al., "Mixed dimension
  embeddings with application to memory-efficient recommendation systems", 2019, section 3.
"""

from collections.abc import Iterator, Mapping

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from recsys.config.schemes.base import WEIGHT_BYTES
from recsys.embeddings.vocabularies import feature_vocabularies
from recsys.search.optuna.space import DIM, SCHEME, Params, SearchSpace

__all__ = ["first_params", "nearest_params"]

POWERS = (0.25, -0.3)
"""Exponents of the number of ids to which widths are proportional."""
SCALES: list[float] = [2.0 ** (-step / 4) for step in range(49)]
"""Factors by which widths are made smaller until they fit a budget."""


def first_params(space: SearchSpace, budget: int | None, fixed_bytes: int) -> list[Params]:
    """Return the choices to try first, each once, without that of the user's configuration.

    Args:
        space: what may be chosen.
        budget: most bytes of all tables when served; None if there is no limit.
        fixed_bytes: bytes of the tables that are not shaped.
    """
    rest = nearest_params(space) | space.at_precision("fp16")
    found = [rest | widths for widths in _widths(space, budget, fixed_bytes)]
    unique = {tuple(params.items()): params for params in found}
    own = space.own_params()
    return [params for params in unique.values() if params != own]


def nearest_params(space: SearchSpace) -> Params:
    """Return the choice that is nearest to the user's configuration; it is that, if the space has it."""
    own = space.own_params()
    if own is not None:
        return own
    dims: Params = {DIM + name: _nearest(choices, space.table_dims[name]) for name, choices in space.dims.items()}
    dims |= {
        SCHEME + name: "full" if "full" in options else next(iter(options)) for name, options in space.schemes.items()
    }
    dims |= space.at_precision("fp32")
    return dims | {key: _nearest_value(space.distributions[key], space.own_value(key)) for key in space.keys}


def _nearest_value(distribution: BaseDistribution, own: object) -> object:
    if isinstance(distribution, CategoricalDistribution):
        return own if own in distribution.choices else distribution.choices[0]
    assert isinstance(distribution, IntDistribution | FloatDistribution)
    if isinstance(own, bool) or not isinstance(own, int | float):
        return distribution.low
    return own if distribution.low < own < distribution.high and distribution.step is None else distribution.low


def _widths(space: SearchSpace, budget: int | None, fixed_bytes: int) -> Iterator[Params]:
    known = feature_vocabularies(space.prepared.resolved, space.prepared.state)
    num_ids = {name: known[name].num_ids or 0 for name in space.dims if name in space.full_tables}
    widest = max((max(dims) for dims in space.dims.values()), default=0)
    for width in sorted({dim for dims in space.dims.values() for dim in dims if dim}, reverse=True):
        yield {DIM + name: _at_most(dims, width) for name, dims in space.dims.items()}
    if len(set(num_ids.values())) < 2:
        return
    others = {DIM + name: _at_most(dims, widest) for name, dims in space.dims.items() if name not in num_ids}
    for power in POWERS:
        shares = {name: max(ids, 1) ** power for name, ids in num_ids.items()}
        wanted = {name: widest * share / max(shares.values()) for name, share in shares.items()}
        for scale in (1.0, _scale_within(space, wanted, num_ids, budget, fixed_bytes)):
            if scale is not None:
                yield others | {DIM + name: _nearest(space.dims[name], wanted[name] * scale) for name in wanted}


def _scale_within(
    space: SearchSpace, wanted: Mapping[str, float], num_ids: Mapping[str, int], budget: int | None, fixed_bytes: int
) -> float | None:
    """Return the largest factor by which widths fit the budget; None if there is none."""
    if budget is None:
        return None
    narrow = space.at_precision("fp16")
    weight_bytes = {name: WEIGHT_BYTES[space.precision(name, narrow)] for name in wanted}
    for scale in SCALES:
        dims = {name: _nearest(space.dims[name], wanted[name] * scale) for name in wanted}
        bytes_ = sum(dims[name] * num_ids[name] * weight_bytes[name] for name in dims)
        if fixed_bytes + bytes_ <= budget:
            return scale
    return None


def _at_most(dims: tuple[int, ...], width: int) -> int:
    return max((dim for dim in dims if dim <= width), default=dims[0])


def _nearest(dims: tuple[int, ...], wanted: float) -> int:
    """Return the width whose ratio to the wanted one is nearest to 1."""
    return min(dims, key=lambda dim: abs(dim - wanted) if not dim else max(dim / wanted, wanted / dim))
