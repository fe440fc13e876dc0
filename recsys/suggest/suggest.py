"""A commented first draft of a configuration, from a look at the columns of the data."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path

import polars as pl

from recsys.config.globs import is_glob, matches
from recsys.config.names import name_problem
from recsys.config.run import DataSection, FileFormat, check_separator
from recsys.errors import DataError
from recsys.features.column_profile import ColumnProfile
from recsys.sources.csv_file import CsvFile
from recsys.sources.location import no_column
from recsys.sources.open_file import open_file
from recsys.sources.source import open_source
from recsys.suggest.leaks import single_column_auc
from recsys.suggest.profile import profile
from recsys.suggest.rules import Suggestion, suggest_column
from recsys.suggest.sequences import as_sequences
from recsys.suggest.text import Line, draft

__all__ = ["suggest_config", "suggest_for_file"]

_GROUP_NAMES = ("user_id", "userid", "user", "uid", "visitor_id", "member_id", "customer_id")
_WEIGHT_NAMES = ("sample_weight", "row_weight")
_LEAK_ROWS = 100_000


def suggest_for_file(
    path: Path,
    *,
    label: str,
    separator: str | None = None,
    header: bool = True,
    form: FileFormat | None = None,
    paths: Sequence[str] | None = None,
) -> str:
    """Look at the first million rows of a file and return a commented config.

    Args:
        path: a parquet, csv, tsv or Arrow file.
        label: column with 0 and 1; in a file without a header `col_1` is the first column.
        separator: character between the fields of a csv file, where its format does not tell.
        header: whether the first line of a csv file names its columns.
        form: format of the file, where its name does not tell.
        paths: paths of the training files, as the configuration is to name them; by default `path`.

    Raises:
        DataError: the file cannot be read, there is no such column, or it does not hold 0 and 1.
    """
    data = _section(path, separator, header, form)
    columns = profile(path, data)
    names = [column.name for column in columns]
    if label not in names and not header:
        raise DataError(f"{path}: no column {label!r}; without a header they are col_1 to {names[-1]}, in their order")
    if label not in names:
        raise no_column(str(path), label, names)
    _check_label(columns[names.index(label)], str(path))
    read = [column.name for column in columns if column.type.is_readable]
    frame = next(open_source([path], data).frames(read, _LEAK_ROWS), pl.DataFrame(schema=read))
    leaks = single_column_auc(frame, label, read)
    return suggest_config(columns, label=label, paths=[str(path)] if paths is None else paths, data=data, leaks=leaks)


def suggest_config(
    profiles: Sequence[ColumnProfile],
    *,
    label: str,
    paths: Sequence[str],
    data: DataSection | None = None,
    leaks: Mapping[str, float] | None = None,
) -> str:
    """Return the YAML of a config that can be trained, with what was seen of each column beside it.

    Args:
        profiles: profiles of all columns of the data, in order.
        label: name of the column with 0 and 1.
        paths: paths of the training files, as the configuration is to name them.
        data: section that tells how csv files are read. Without a header the columns get new names:
            `label`, I1.. for numbers and C1.. for the others.
        leaks: AUC of single columns on the label; those near 1 are left out.

    Raises:
        DataError: there is no column `label`, or it does not hold 0 and 1.
    """
    names = [column.name for column in profiles]
    where = paths[0] if paths else ""
    if label not in names:
        raise no_column(where, label, names)
    target = next(column for column in profiles if column.name == label)
    _check_label(target, where)
    others = [column for column in profiles if column.name != label]
    found = [suggest_column(column, leak=(leaks or {}).get(column.name)) for column in others]
    found = _agreed_families(as_sequences(_named(found, names)))
    section = data or DataSection()
    if not section.header:
        found, section = _renamed(found, section, label)
        target = replace(target, name="label")
    weight = next((one.name for one in found if one.name in _WEIGHT_NAMES and _is_weight(one.column)), None)
    found = [one for one in found if one.name != weight]
    used = [one for one in found if not one.left_out]
    if not used:
        raise DataError(
            f"{where}: no column can be a feature: " + "; ".join(f"{one.name}: {one.note}" for one in found)
        )
    ids = [one.name for one in used if one.spec["type"] == "id"]
    group = next((one for name in _GROUP_NAMES for one in ids if one.lower() == name), None)
    return draft(
        target,
        group=group,
        weight=weight,
        lines=list(_lines(used, [one.name for one in found])),
        left_out=[one for one in found if one.left_out],
        paths=paths,
        data=section,
    )


def _check_label(column: ColumnProfile, where: str) -> None:
    if not column.type.is_readable:
        raise DataError(f"{where}: column {column.name}: a label must be 0 or 1, it holds {column.type.described()}")
    if not column.num_rows:
        raise DataError(f"{where}: there are no rows")
    low, high = column.minimum, column.maximum
    if not column.is_list and low is not None and high is not None and 0 <= low <= high <= 1:
        return
    held = f"values from {low:g} to {high:g}" if low is not None and high is not None else ", ".join(column.sample)
    raise DataError(f"{where}: column {column.name}: a label must be 0 or 1, it holds {held or 'no values'}")


def _is_weight(column: ColumnProfile) -> bool:
    return column.minimum is not None and column.minimum >= 0 and not column.num_nulls and not column.is_list


def _named(found: Sequence[Suggestion], columns: Sequence[str]) -> list[Suggestion]:
    """Give other names, and the key `column`, to features whose columns are called what no feature can be called."""
    new_names: dict[str, str] = {}
    for column in columns:
        if not (is_glob(column) or name_problem(column)):
            continue
        plain = re.sub(r"[*?]|[^ -~]", "_", column)[:40]
        taken = {*columns, *new_names.values()}
        new_names[column] = next(name for i in count() if (name := f"{plain}{i or ''}") not in taken)
    return [_renamed_feature(one, new_names[one.name]) if one.name in new_names else one for one in found]


def _renamed_feature(one: Suggestion, name: str) -> Suggestion:
    return replace(one, name=name, spec={**one.spec, "column": one.column.name} if one.spec else one.spec)


def _agreed_families(found: Sequence[Suggestion]) -> list[Suggestion]:
    """Give columns called A1, A2, ... what three quarters of them were given, so that a glob can name them."""
    agreed = list(found)
    for indices in _families(found).values():
        kept = [i for i in indices if not agreed[i].left_out]
        for kinds in (("int", "float"), ("text",)):
            members = [i for i in kept if agreed[i].column.kind in kinds]
            for i, spec in zip(members, _agreed_specs([agreed[i] for i in members]), strict=True):
                agreed[i] = replace(agreed[i], spec=spec, note=agreed[i].note if agreed[i].spec == spec else "")
    return agreed


def _agreed_specs(members: Sequence[Suggestion]) -> Sequence[Mapping[str, object]]:
    """Return one spec for all if at least three quarters are of one type, id or number; the longest spec of it."""
    specs = [one.spec for one in members]
    types = [str(spec["type"]) for spec in specs]
    common = max(("number", "id"), key=types.count)
    if len(specs) < 3 or not set(types) <= {"id", "number"} or 4 * types.count(common) < 3 * len(types):
        return specs
    if common == "id" and not all(one.column.kind == "text" or one.column.is_whole for one in members):
        return specs
    longest = max((spec for spec in specs if spec["type"] == common), key=len)
    return [longest] * len(specs)


def _families(found: Sequence[Suggestion]) -> dict[str, list[int]]:
    """Return prefix -> indices of the columns whose names are that prefix and a number."""
    families: dict[str, list[int]] = {}
    for index, one in enumerate(found):
        if match := re.fullmatch(r"(.*?)\d+", one.name):
            families.setdefault(match[1], []).append(index)
    return {prefix: indices for prefix, indices in families.items() if prefix}


def _lines(used: Sequence[Suggestion], columns: Sequence[str]) -> Iterator[Line]:
    """Yield one line for each feature, or for a family that a glob names exactly."""
    glob_of: dict[str, str] = {}
    for prefix, indices in _families(used).items():
        glob, members = f"{prefix}*", [used[i] for i in indices]
        matched = {name for name in columns if matches(name, glob)}
        if (
            len(members) >= 3
            and matched == {one.name for one in members}
            and all(one.spec == members[0].spec for one in members)
        ):
            glob_of |= {one.name: glob for one in members}
    written: set[str] = set()
    for one in used:
        name = glob_of.get(one.name, one.name)
        if name not in written:
            written.add(name)
            yield Line(name, one.spec, [other for other in used if glob_of.get(other.name, other.name) == name])


def _renamed(found: Sequence[Suggestion], data: DataSection, label: str) -> tuple[list[Suggestion], DataSection]:
    """Name the columns of a file without a header by what they are: I1.. for numbers, C1.. for the rest."""
    counts = {"I": 0, "C": 0}
    new_names = {label: "label"}
    for one in found:
        letter = "I" if one.section.kind == "number" else "C"
        counts[letter] += 1
        new_names[one.column.name] = f"{letter}{counts[letter]}"
    renamed = [replace(one, name=new_names[one.column.name]) for one in found]
    columns = tuple(new_names.get(name, name) for name in data.columns or ())
    return renamed, data.model_copy(update={"columns": columns})


def _section(path: Path, separator: str | None, header: bool, form: FileFormat | None) -> DataSection:
    """Return how to read the file; without a header, its columns are col_1, col_2, ..."""
    try:
        data = DataSection(format=form, separator=None if separator is None else check_separator(separator))
    except ValueError as error:
        raise DataError(f"separator: {error}") from error
    if header:
        return data
    file = open_file(path, data.model_copy(update={"header": False, "columns": ()}))
    if not isinstance(file, CsvFile):
        raise DataError(f"{path}: only csv and tsv files may lack a header")
    columns = tuple(f"col_{i + 1}" for i in range(len(file.first_fields())))
    return data.model_copy(update={"header": False, "columns": columns})
