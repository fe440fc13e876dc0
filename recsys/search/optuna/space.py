"""The space of a search by trials: its parameters, and what values of them make of the configuration."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from recsys.config import Config, ResolvedTable
from recsys.config.changes import parse_key
from recsys.config.dump import plain
from recsys.config.limits import DIMS
from recsys.config.problems import KeyPath
from recsys.config.schemes import SCHEMES
from recsys.config.schemes.base import RowPrecision
from recsys.config.schemes.full import FullTable
from recsys.config.search import NumberRange
from recsys.config.search_dims import searched_dims
from recsys.config.search_space import is_integer
from recsys.config.variants import all_variants
from recsys.data.prepared import Prepared
from recsys.embeddings.budget import solve_budget
from recsys.embeddings.build import build_schemes
from recsys.embeddings.scheme import FeatureVocabulary
from recsys.embeddings.vocabularies import feature_vocabularies, vocabularies_by_table
from recsys.errors import ConfigError
from recsys.files import to_json
from recsys.search.shape import TableShape
from recsys.search.supernet import rows_precision

__all__ = ["DIM", "PRECISION", "SCHEME", "Params", "SearchSpace"]

Params = dict[str, Any]
"""Values of parameters by name, as the study stores them."""

SCHEME = "scheme "
"""Begins the name of the parameter that is the scheme of a vocabulary, and its share of the full table: "qr 0.1"."""
DIM = "dim "
"""Begins the name of the parameter that is the width of a vocabulary or table: "dim item_id"."""
PRECISION = "precision"
"""Name of the parameter that is the precision in which all vocabularies are served whose tables do not state one."""


@dataclass(frozen=True)
class Choices:
    """A list of values of a key, of which those that a study cannot store are named by their JSON text."""

    values: tuple[Any, ...]

    @property
    def distribution(self) -> CategoricalDistribution:
        """Return the values as the study stores them."""
        return CategoricalDistribution([self.stored(value) for value in self.values])

    def stored(self, value: Any) -> str | int | float | bool | None:
        """Return a value as the study stores it."""
        simple: str | int | float | bool | None
        if value is None or isinstance(value, bool | int | float | str):
            simple = value
        else:
            simple = to_json(value)
        return simple

    def value(self, stored: Any) -> Any:
        """Return the value that is stored like this; 1 and true are two values."""
        found = [value for value in self.values if self.stored(value) == stored]
        return next((value for value in found if type(self.stored(value)) is type(stored)), found[0])


class SearchSpace:
    """The parameters of a search by trials, and what values of them make of the configuration.

    Args:
        config: the user's configuration.
        prepared: the data, and the configuration resolved for them.

    Attributes:
        distributions: of each parameter that has several values, by its name.
        dims: widths to choose from, by vocabulary or table.
        paths: path of each key of `search.space`, by its parameter.

    Raises:
        ConfigError: there is nothing to choose from.
    """

    def __init__(self, config: Config, prepared: Prepared) -> None:
        self.config = config.replaced(search=None)
        self.prepared = prepared
        resolved = prepared.resolved
        self.dims = searched_dims(resolved)
        self.keys = {} if config.search is None else dict(config.search.space)
        self.paths: dict[str, KeyPath] = {key: parse_key(key, config) for key in self.keys}
        self.distributions: dict[str, BaseDistribution] = {
            **{DIM + name: CategoricalDistribution(dims) for name, dims in self.dims.items()},
            **{SCHEME + name: CategoricalDistribution(tuple(options)) for name, options in self.schemes.items()},
            **({PRECISION: CategoricalDistribution(("fp16", "fp32"))} if self.of_any_precision else {}),
            **{key: self._distribution(key, values) for key, values in self.keys.items()},
        }
        if all(distribution.single() for distribution in self.distributions.values()):
            where = self.config.where("search") if config.search else "search"
            raise ConfigError(
                f"{where}: there is nothing to search: no table has the scheme full, or each key has one value; say "
                "under `search.space` which keys may change"
            )

    def _distribution(self, key: str, values: NumberRange | tuple[Any, ...]) -> BaseDistribution:
        if not isinstance(values, NumberRange):
            return Choices(values).distribution
        low, high, step = values.low, values.high, values.step
        if step is not None:
            high = low + math.floor((high - low) / step + 1e-9) * step  # the last value that is reached
        if is_integer(self.config, self.paths[key], values):
            return IntDistribution(int(low), int(high), log=values.log, step=int(step or 1))
        return FloatDistribution(float(low), float(high), log=values.log, step=step)

    @property
    def changes_bytes(self) -> bool:
        """Whether the bytes of the tables depend on the parameters."""
        free = {name for name, distribution in self.distributions.items() if not distribution.single()}
        return bool(free - self.paths.keys()) or self._keys_change_bytes

    @property
    def _keys_change_bytes(self) -> bool:
        """Whether the bytes of the tables depend on the keys of `search.space`."""
        free = [path for name, path in self.paths.items() if not self.distributions[name].single()]
        return any(path[0] in ("features", "tables") or path in (("model",), ("model", "dim")) for path in free)

    def least_bytes(self) -> int:
        """Return the least bytes that all tables can have when served; 0 if keys of `search.space` change them too."""
        if self._keys_change_bytes:
            return 0
        resolved = self.prepared.resolved
        known = vocabularies_by_table(resolved, self.prepared.state)
        least = 0
        for table in resolved.tables:
            if isinstance(table.spec, FullTable):
                least += sum(min(self._vocabulary_bytes(table, one)) for one in known[table.name])
            else:
                dim = min(self.dims.get(table.name, (table.dim,)))
                least += _serving_bytes(replace(table, dim=dim), known[table.name])
        return least

    def _vocabulary_bytes(self, table: ResolvedTable, vocabulary: FeatureVocabulary) -> Iterator[int]:
        """Yield the least bytes of a vocabulary of a full table in each scheme that it may have."""
        name = vocabulary.name
        width = min(self.dims.get(name, (table.dim,)))
        options = self.schemes.get(name, {"full": {}})
        for keys in options.values():
            if not keys:
                precision = self.precision(name, self.at_precision("fp16"))
                yield self._shape(vocabulary, width, precision).serving_bytes
            else:
                dim = table.dim if self.config.model.needs_equal_dims else max(width, DIMS[0])
                yield _serving_bytes(_own_table(name, keys, dim), [vocabulary])

    @property
    def changes_features(self) -> bool:
        """Whether a parameter says how features are read, so that trials prepare data of their own."""
        return any(path[0] == "features" for path in self.paths.values())

    @property
    def size(self) -> int | None:
        """Number of different choices; None if a parameter is any number of a range."""
        sizes = []
        for distribution in self.distributions.values():
            if isinstance(distribution, CategoricalDistribution):
                sizes.append(len(distribution.choices))
            elif isinstance(distribution, IntDistribution):
                sizes.append((distribution.high - distribution.low) // distribution.step + 1)
            else:
                return None
        return math.prod(sizes)

    def changes(self, params: Params) -> dict[KeyPath, Any]:
        """Return the keys that a choice sets, but for the tables of vocabularies."""
        found = {self.paths[key]: self._value(key, params[key]) for key in self.keys}
        tables = {name: params[DIM + name] for name in self.dims if name not in self.full_tables}
        found |= {("tables", name, "dim"): dim for name, dim in tables.items()}
        for name in self.schemes:
            found |= self._scheme_changes(name, params)
        return found

    def _scheme_changes(self, name: str, params: Params) -> dict[KeyPath, Any]:
        """Return the section of a vocabulary's own table; nothing if it stays full."""
        keys = self.schemes[name][params[SCHEME + name]]
        if not keys:
            return {}
        section = {"features": (name,), **keys}
        if DIM + name in params and not self.config.model.needs_equal_dims:
            section["dim"] = max(params[DIM + name], DIMS[0])
        return {("tables", self.own_tables[name], key): value for key, value in section.items()}

    @cached_property
    def own_tables(self) -> dict[str, str]:
        """The name of the full table that holds a vocabulary and nothing else, for those that have one."""
        resolved = self.prepared.resolved
        return {
            owners[0]: table.name
            for table in resolved.tables
            if isinstance(table.spec, FullTable) and len(owners := resolved.vocabularies_in(table)) == 1
        }

    @cached_property
    def schemes(self) -> dict[str, dict[str, dict[str, Any]]]:
        """The keys of each scheme that a vocabulary may have, by the vocabulary and the scheme's name and share.

        Schemes and shares that cannot be reached are left out, and vocabularies that share a table with others.
        """
        search = self.prepared.resolved.config.search
        found = {}
        for name in self.own_tables if search and search.schemes else ():
            options = {label: keys for label, keys in self._scheme_options() if self._is_reachable(name, keys)}
            if options:
                found[name] = options
        return found

    def _scheme_options(self) -> Iterator[tuple[str, dict[str, Any]]]:
        search = self.prepared.resolved.config.search
        assert search is not None
        for name in search.schemes or ():
            variant = all_variants()[name]
            if variant.scheme == "full":
                yield name, {}
            elif "budget" in SCHEMES[variant.scheme].model_fields:
                for share in search.shares:
                    yield f"{name} {share:g}", {"scheme": variant.scheme, **variant.keys, "budget": share}
            else:
                yield name, {"scheme": variant.scheme, **variant.keys}

    def _is_reachable(self, name: str, keys: Mapping[str, Any]) -> bool:
        if not keys:
            return True
        table = _own_table(name, keys, self.table_dims[name])
        known = feature_vocabularies(self.prepared.resolved, self.prepared.state)
        try:
            solve_budget(table, [known[name]])
        except ConfigError:
            return False
        return not [*table.spec.check(), *table.spec.check_dim(table.dim)]

    def _value(self, key: str, stored: Any) -> Any:
        values = self.keys[key]
        return stored if isinstance(values, NumberRange) else Choices(values).value(stored)

    def shapes(self, params: Params, prepared: Prepared) -> dict[str, TableShape]:
        """Return the tables of the vocabularies whose width or precision a choice changes.

        Args:
            params: the choice.
            prepared: the data, as the keys of the choice have it.
        """
        known = feature_vocabularies(prepared.resolved, prepared.state)
        found = {}
        for name in self.dims:
            if name in self.full_tables and not self.schemes.get(name, {}).get(params.get(SCHEME + name, "")):
                width, precision = params[DIM + name], self.precision(name, params)
                if (width, precision) != (self.table_dims[name], self._own_precision(name)):
                    found[name] = self._shape(known[name], width, precision)
        return found

    def at_precision(self, precision: RowPrecision) -> Params:
        """Return the parameter that is a precision; none if it is not chosen."""
        return {PRECISION: precision} if self.of_any_precision else {}

    def precision(self, name: str, params: Params) -> RowPrecision:
        """Return the precision in which a vocabulary of a full table is served under a choice."""
        own = self._own_precision(name)
        return params.get(PRECISION, own) if name in self.of_any_precision else own

    def _shape(self, vocabulary: FeatureVocabulary, width: int, precision: RowPrecision) -> TableShape:
        name, num_ids = vocabulary.name, vocabulary.num_ids
        assert num_ids is not None, f"{name} is in a full table, so its vocabulary is closed"
        dim = max(self.table_dims[name], width)
        return TableShape.prefix(name, num_ids=num_ids, dim=dim, width=width, precision=precision)

    @cached_property
    def of_any_precision(self) -> frozenset[str]:
        """The vocabularies whose widths are chosen and whose tables state no precision, so that it is chosen too."""
        free = {name for name, dims in self.dims.items() if name in self.full_tables and len(dims) > 1}
        return frozenset(name for name in free if rows_precision(self.full_tables[name]) != self._own_precision(name))

    def _own_precision(self, name: str) -> RowPrecision:
        return self.full_tables[name].served_precision

    @cached_property
    def full_tables(self) -> dict[str, FullTable]:
        """The section of the table that holds a vocabulary, for those in tables of scheme `full`."""
        resolved = self.prepared.resolved
        return {
            name: table.spec
            for table in resolved.tables
            if isinstance(table.spec, FullTable)
            for name in resolved.vocabularies_in(table)
        }

    @cached_property
    def table_dims(self) -> dict[str, int]:
        """Width of the user's table, by vocabulary or by table, as `dims` has them."""
        resolved = self.prepared.resolved
        return {
            name: table.dim
            for table in resolved.tables
            for name in (resolved.vocabularies_in(table) if isinstance(table.spec, FullTable) else [table.name])
        }

    def own_bytes(self) -> int:
        """Return the bytes of the rows whose width may change, as the user's configuration has them."""
        known = feature_vocabularies(self.prepared.resolved, self.prepared.state)
        return sum(
            (known[name].num_ids or 0) * self.table_dims[name] * self.full_tables[name].serving_weight_bytes
            for name in self.dims
            if name in self.full_tables
        )

    def own_params(self) -> Params | None:
        """Return the choice that is the user's configuration; None if it is not in the space."""
        params: Params = {DIM + name: self.table_dims[name] for name in self.dims}
        params |= {SCHEME + name: "full" for name in self.schemes}
        params |= self.at_precision("fp32")
        for key, values in self.keys.items():
            value = self.own_value(key)
            params[key] = value if isinstance(values, NumberRange) else Choices(values).stored(value)
        return params if all(_contains(self.distributions[name], value) for name, value in params.items()) else None

    def own_value(self, key: str) -> Any:
        """Return what the user's configuration has for a key of `search.space`, defaults filled in."""
        here: Any = plain(self.config)
        for part in self.paths[key]:
            if isinstance(part, int):
                here = here[part] if isinstance(here, list | tuple) and part < len(here) else None
            else:
                here = here.get(part) if isinstance(here, Mapping) else None
        return _with_tuples(here)


def _own_table(name: str, keys: Mapping[str, Any], dim: int) -> ResolvedTable:
    """Return a table of one vocabulary that has the keys of a scheme."""
    spec = SCHEMES[keys["scheme"]].model_validate({"features": (name,), **keys})
    return ResolvedTable(name=name, fields=(name,), dim=dim, spec=spec)


def _serving_bytes(table: ResolvedTable, vocabularies: Sequence[FeatureVocabulary]) -> int:
    """Return the bytes of a table when served; 0 if it cannot be built, so that nothing is known of them."""
    try:
        with torch.device("meta"):
            return sum(scheme.serving_bytes() for scheme in build_schemes(table, vocabularies))
    except ConfigError:
        return 0


def _contains(distribution: BaseDistribution, value: Any) -> bool:
    if isinstance(distribution, CategoricalDistribution):
        return any(type(choice) is type(value) and choice == value for choice in distribution.choices)
    assert isinstance(distribution, IntDistribution | FloatDistribution)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    steps = 0.0 if distribution.step is None or distribution.log else (value - distribution.low) / distribution.step
    return distribution.low <= value <= distribution.high and abs(steps - round(steps)) < 1e-8


def _with_tuples(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _with_tuples(child) for key, child in value.items()}
    return tuple(map(_with_tuples, value)) if isinstance(value, list) else value
