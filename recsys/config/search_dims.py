"""The tables of which a search may change the width, and the widths it may choose from."""

from collections.abc import Collection, Iterator, Mapping, Sequence

from recsys.config.feature_types import Field
from recsys.config.globs import is_glob, matches, overlaps
from recsys.config.problems import Problem, did_you_mean
from recsys.config.resolved import ResolvedConfig
from recsys.config.run import Config
from recsys.config.schemes import TableSection
from recsys.config.schemes.full import FullTable

__all__ = ["check_search", "searched_dims"]

DEFAULT_DIMS = (4, 8, 16, 32)


def searched_dims(resolved: ResolvedConfig) -> dict[str, tuple[int, ...]]:
    """Return the widths that a search may choose from, ascending, by vocabulary or table.

    A vocabulary of a table of scheme `full` gets a table of its own, of any width; a table of another scheme, which
    must be named, changes as a whole. Where nothing is said, vocabularies have 4, 8, 16 and 32 floats up to the width
    of their table, and that.
    """
    search = resolved.config.search
    given = None if search is None else search.dims
    found: dict[str, tuple[int, ...]] = {}
    for table in resolved.tables:
        is_full = isinstance(table.spec, FullTable)
        for unit in resolved.vocabularies_in(table) if is_full else [table.name]:
            if isinstance(given, Mapping):
                names = [unit, resolved.field(unit).feature, table.name] if is_full else [unit]
                dims = _named(given, names)
            else:
                dims = given or (*(dim for dim in DEFAULT_DIMS if dim < table.dim), table.dim)
                dims = dims if is_full else None
            if dims is not None:
                found[unit] = tuple(sorted(dims))
    return found


def _named(dims: Mapping[str, tuple[int, ...]], names: Sequence[str]) -> tuple[int, ...] | None:
    """Return what is said of the first of these names that is named, else of the first glob that matches one."""
    exact = next((dims[name] for name in names if name in dims), None)
    return exact or next((value for glob, value in dims.items() if is_glob(glob) and _any_matches(names, glob)), None)


def _any_matches(names: Sequence[str], glob: str) -> bool:
    return any(matches(name, glob) for name in names)


def check_search(
    config: Config, fields: Sequence[Field], table_of: Mapping[str, str], *, unsure: Collection[str] = ()
) -> Iterator[Problem]:
    """Yield what is wrong with `search`, but for the keys of `search.space`.

    Args:
        config: as loaded, or with its globs expanded.
        fields: of its features.
        table_of: each vocabulary's table.
        unsure: features that exist, but could not be read.
    """
    if config.search is None:
        return
    yield from (Problem(("search", *path), text) for path, text in config.search.check())
    dims = config.search.dims
    for name, widths in dims.items() if isinstance(dims, Mapping) else ():
        if text := _misnamed(name, config, fields, table_of, unsure):
            yield Problem(("search", "dims", name), text)
        elif config.model.needs_equal_dims and max(widths) > _width(name, config, table_of):
            yield Problem(("search", "dims", name), _too_wide(config, widths, _width(name, config, table_of)))
    if isinstance(dims, tuple) and config.model.needs_equal_dims and max(dims) > config.model.dim:
        yield Problem(("search", "dims"), _too_wide(config, dims, config.model.dim))


def _too_wide(config: Config, widths: Sequence[int], dim: int) -> str:
    tower = config.model.tower
    return f"tower {tower} sees all embeddings as wide as model.dim ({dim}), so none can be wider, got {max(widths)}"


def _width(name: str, config: Config, table_of: Mapping[str, str]) -> int:
    table = config.tables.get(table_of.get(name, name))
    return (table.dim if table else None) or config.model.dim


def _misnamed(
    name: str, config: Config, fields: Sequence[Field], table_of: Mapping[str, str], unsure: Collection[str]
) -> str:
    """Say why a name stands for no table whose width is free; "" if it does, or may."""
    owners = [field for field in fields if field.vocabulary == field.name]
    meant = [field for field in owners if overlaps(name, field.name) or overlaps(name, field.feature)]
    schemes = [_scheme(config, table_of.get(field.name)) for field in meant]
    if name in config.tables:
        if isinstance(config.tables[name], FullTable) or not config.model.needs_equal_dims:
            return ""
        return (
            f"tower {config.model.tower} needs tables of one width, and table {name!r} is {config.tables[name].scheme}"
        )
    if any(isinstance(scheme, FullTable) for scheme in schemes) or any(overlaps(name, other) for other in unsure):
        return ""
    if meant:
        table = table_of[meant[0].name]
        return (
            f"{meant[0].name!r} is in table {table!r}, which is {config.tables[table].scheme}; name the table instead"
        )
    field = next((field for field in fields if name in (field.name, field.feature)), None)
    if field is not None and field.target is not None:
        return f"{name!r} is a sequence and shares the table of {field.target!r}; name that instead"
    if field is not None:
        return f"{name!r} is a number, which has no embedding"
    return f"unknown feature or table {name!r}{did_you_mean(name, [*(f.name for f in owners), *config.tables])}"


def _scheme(config: Config, table: str | None) -> TableSection:
    return FullTable(features=("*",)) if table is None else config.tables[table]
