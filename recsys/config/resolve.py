"""Resolve a configuration: the columns of the data tell which features its globs stand for."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from recsys.config.assign import assign
from recsys.config.check import check
from recsys.config.feature_types import FeatureSection, Field
from recsys.config.globs import is_glob, matches
from recsys.config.load import load_run_config
from recsys.config.problems import Problem, did_you_mean
from recsys.config.resolved import ResolvedConfig, ResolvedTable, fields_of
from recsys.config.run import Config, TimeSplit
from recsys.config.schemes.full import FullTable

__all__ = ["MissingColumn", "load_resolved", "missing_columns", "resolve"]


def load_resolved(path: Path) -> ResolvedConfig:
    """Load the configuration of a run, whose globs were expanded when it was written.

    Args:
        path: `RunFolder.config`.

    Raises:
        ConfigError: it is not valid.
    """
    return resolve(load_run_config(path), columns=[])


def resolve(config: Config, columns: Sequence[str]) -> ResolvedConfig:
    """Expand the globs of a configuration against the columns of the data, and list its fields and tables.

    A feature glob becomes one feature for each column that it matches, in the order of the file. Columns that a feature
    without a glob reads, and the label, weight, group and time columns, are not matched. A table glob matches the
    fields that no other table names.

    Args:
        config: a loaded configuration; it is checked again, now that all names are known.
        columns: the columns of the data. `missing_columns` tells which ones the configuration lacks.

    Raises:
        ConfigError: a glob matches nothing, two globs match one column, or the expanded configuration is not valid.
    """
    features: dict[str, FeatureSection] = {}
    origins: dict[str, str] = {}
    problems: list[Problem] = []
    free = _free_columns(config, columns)
    for name, feature in config.features.items():
        names = [column for column in free if matches(column, name)] if is_glob(name) else [name]
        if not names and feature.use:
            problems.append(Problem(("features", name), f"matches none of the {len(free)} columns without a use"))
        for expanded in names:
            if expanded in origins and is_glob(origins[expanded]):
                text = f"matches column {expanded!r}, and so does {origins[expanded]!r}"
                problems.append(Problem(("features", name), text))
            features[expanded], origins[expanded] = feature, name
    source = config.source.aliased({name: glob for name, glob in origins.items() if name != glob})
    problems += _starred(features, origins)
    if problems:
        raise source.error(problems)
    expanded_config = config.from_source(source, features=features)
    used = {name: feature for name, feature in features.items() if feature.use}
    fields = tuple(fields_of(used))
    problems += check(expanded_config)
    problems += _clashes(fields)
    if problems:
        raise source.error(problems)
    return ResolvedConfig(config=expanded_config, features=used, fields=fields, tables=_tables(expanded_config, fields))


def _free_columns(config: Config, columns: Sequence[str]) -> list[str]:
    """Return the columns that a glob may match."""
    taken = {*config.labels.values(), config.weight, config.group}
    if isinstance(config.data.split, TimeSplit):
        taken.add(config.data.split.column)
    literal = {name: feature for name, feature in config.features.items() if not is_glob(name)}
    taken |= {feature.column_of(name) for name, feature in literal.items()} | set(literal)
    return [column for column in columns if column not in taken]


def _starred(features: dict[str, FeatureSection], origins: dict[str, str]) -> Iterator[Problem]:
    for name in features:
        if is_glob(name):
            text = f"matches column {name!r}, whose * or ? would be read as a glob; give it a name and `column`"
            yield Problem(("features", origins[name]), text)


def _clashes(fields: tuple[Field, ...]) -> Iterator[Problem]:
    counts = Counter(field.name for field in fields)
    for field in fields:
        if counts[field.name] > 1 and field.name == field.feature:
            yield Problem(("features", field.name), "is also the name of a part of a datetime feature")


def _tables(config: Config, fields: tuple[Field, ...]) -> tuple[ResolvedTable, ...]:
    """Return the tables of the file that hold a used feature, then one for each vocabulary that is in none of them."""
    table_of, _ = assign(config.tables, fields)
    specs = dict(config.tables)
    for field in fields:
        if field.vocabulary is not None and field.vocabulary not in table_of:
            table_of[field.vocabulary] = field.vocabulary
            specs[field.vocabulary] = FullTable(features=(field.vocabulary,))
    held: dict[str, list[str]] = {name: [] for name in specs}
    for field in fields:
        if field.vocabulary is not None:
            held[table_of[field.vocabulary]].append(field.name)
    return tuple(
        ResolvedTable(
            name=name,
            fields=tuple(held[name]),
            dim=spec.dim or config.model.dim,
            spec=spec,
        )
        for name, spec in specs.items()
        if held[name]
    )


class MissingColumn(NamedTuple):
    """A column that the configuration needs and the data does not have."""

    name: str
    where: str
    """"FILE:LINE: features.price", the first key that names it."""
    hint: str
    """"; did you mean 'price'?", or nothing."""

    def __str__(self) -> str:
        return f"{self.where}: no column {self.name!r} in the data{self.hint}"


def missing_columns(resolved: ResolvedConfig, columns: Sequence[str]) -> list[MissingColumn]:
    """Return the columns that the configuration reads and the data lacks, each once, in the order of the file."""
    missing: dict[str, MissingColumn] = {}
    known = set(columns)
    uses = resolved.columns_by_use()
    if isinstance(resolved.config.data.split, TimeSplit):
        uses["data", "split", "column"] = resolved.config.data.split.column
    for use, column in uses.items():
        if column not in known and column not in missing:
            missing[column] = MissingColumn(column, resolved.config.where(*use), did_you_mean(column, columns))
    return list(missing.values())
