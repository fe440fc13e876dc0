"""Assign vocabularies to tables."""

from collections.abc import Collection, Iterable, Iterator, Mapping

from recsys.config.feature_types import Field
from recsys.config.globs import is_glob, overlaps
from recsys.config.problems import MAX_PROBLEMS, KeyPath, Problem, did_you_mean
from recsys.config.schemes import TableSection

__all__ = ["assign"]


def assign(
    tables: Mapping[str, TableSection], fields: Iterable[Field], *, unsure: Collection[str] = ()
) -> tuple[dict[str, str], list[Problem]]:
    """Return the table of each vocabulary that is in one, and what is wrong with the tables' lists of features.

    A name goes before a glob: `{items: [item_id], rest: ["*"]}` puts all but `item_id` into `rest`. A datetime's name
    stands for all of its parts.

    Args:
        tables: the tables of the file, by name.
        fields: the fields of all features. Where they still stand for globs, only what is certain is a problem.
        unsure: names of features that exist, but could not be read.
    """
    assignment = _Assignment(list(fields), unsure)
    for globs in (False, True):
        for name, table in tables.items():
            for index, entry in enumerate(table.features):
                if is_glob(entry) == globs:
                    assignment.add(("tables", name, "features", index), entry)
    return assignment.table_of, assignment.problems


class _Assignment:
    """The tables filled so far."""

    def __init__(self, fields: list[Field], unsure: Collection[str]) -> None:
        self.fields = fields
        self.unsure = unsure
        self.is_complete = not unsure and not any(is_glob(field.name) for field in fields)
        self.globs = [field for field in self.fields if is_glob(field.name)]
        self.by_name: dict[str, list[Field]] = {}
        for field in self.fields:
            for name in {field.name, field.feature}:
                self.by_name.setdefault(name, []).append(field)
        self.table_of: dict[str, str] = {}
        self.named: set[str] = set()

        self.problems: list[Problem] = []

    def add(self, path: KeyPath, entry: str) -> None:
        """Put what an entry names or matches into the table at `path`."""
        owners = [field.name for field in self._meant(entry) if field.vocabulary == field.name]
        if is_glob(entry):
            self._add_matches(path, entry, owners)
            return
        if not owners:
            self.problems += [Problem(path, text) for text in self._why_not(entry)]
        for owner in owners:
            if owner in self.named and not is_glob(owner):
                self.problems.append(self._twice(path, owner))
            self._put(owner, path)
        self.named.update(owners)

    def _meant(self, entry: str) -> Iterator[Field]:
        """Yield the fields that an entry stands for, or may stand for."""
        if is_glob(entry):
            yield from (field for field in self.fields if _means(entry, field))
        else:
            found = self.by_name.get(entry, [])
            yield from found
            yield from (field for field in self.globs if field not in found and _means(entry, field))

    def _add_matches(self, path: KeyPath, entry: str, owners: list[str]) -> None:
        left = [owner for owner in owners if owner not in self.named]
        if not left and self.is_complete:
            text = "matches only features that are named in a table" if owners else "matches no feature with ids"
            self.problems.append(Problem(path, f"{entry!r} {text}"))
        for owner in left:
            if owner in self.table_of and not is_glob(owner):
                self.problems.append(self._twice(path, owner))
            self._put(owner, path)

    def _put(self, owner: str, path: KeyPath) -> None:
        self.table_of.setdefault(owner, str(path[1]))

    def _why_not(self, entry: str) -> Iterator[str]:
        """Say why an entry without a glob names nothing."""
        field = next(self._meant(entry), None)
        if field is not None and field.target is not None:
            yield f"{entry!r} is a sequence and shares the table of {field.target!r}; name that instead"
        elif field is not None:
            yield f"{entry!r} is a number, which has no embedding; leave it out, or make it a bucket"
        elif len(self.problems) > MAX_PROBLEMS:
            yield f"unknown feature {entry!r}"  # one of those that are not listed
        elif not any(overlaps(entry, name) or entry.startswith(f"{name}.") for name in self.unsure):
            names = {name for field in self.fields for name in (field.name, field.feature)}
            yield f"unknown feature {entry!r}{did_you_mean(entry, names)}"

    def _twice(self, path: KeyPath, owner: str) -> Problem:
        other = self.table_of[owner]
        text = "is listed twice" if other == path[1] else f"is in table {other!r} already"
        return Problem(path, f"{owner!r} {text}")


def _means(entry: str, field: Field) -> bool:
    return overlaps(field.name, entry) or overlaps(field.feature, entry)
