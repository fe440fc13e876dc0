"""Tables whose features are stored apart: one scheme for each member, and plain rows where those are no larger."""

from collections.abc import Sequence

from recsys.config.tables import FullTable, Table
from recsys.embeddings.scheme import Member, Scheme
from recsys.embeddings.schemes.full import Full

__all__ = ["full_if_smaller", "plain", "separate", "shares", "split_small"]


def shares(total: int, members: Sequence[Member]) -> list[int]:
    """Deal `total` units to members in proportion to their vocabularies, at least one each.

    Open vocabularies, whose size nobody knows, count as much as the largest known one.

    >>> shares(100, [Member("a", 300), Member("b", 99), Member("c", 1)])
    [75, 24, 1]
    """
    known = [member.num_ids for member in members if member.num_ids is not None]
    sizes = [member.num_ids or max(known, default=1) for member in members]
    return [max(1, total * size // sum(sizes)) for size in sizes]


def separate(
    kind: type[Scheme],
    name: str,
    members: Sequence[Member],
    dim: int,
    spec: Table,
    *,
    sizes: Sequence[int] | None = None,
) -> list[Scheme]:
    """Return a scheme for each member, with plain rows for members whose compressed form is not smaller.

    Args:
        kind: the scheme.
        name: of the table.
        members: of the table.
        dim: of the table.
        spec: of the table, its knob set.
        sizes: the knob of each member; that of `spec` for all when not given.
    """
    found: list[Scheme] = []
    for i, member in enumerate(members):
        changes = {} if sizes is None or spec.knob is None else {spec.knob: sizes[i]}
        made = kind.alone(name, member, dim, spec.model_copy(update=changes))
        found.append(full_if_smaller(made))
    return found


def full_if_smaller(made: Scheme) -> Scheme:
    """Return a scheme, or a row for each id of its members if that takes no more bytes."""
    sizes = [member.num_ids for member in made.members]
    if None in sizes or made.serving_bytes() < made.weight_bytes * made.dim * sum(size or 0 for size in sizes):
        return made
    return plain(made.name, made.members, made.dim, made.spec)


def plain(name: str, members: Sequence[Member], dim: int, of: Table) -> Full:
    """Return a row for each id of some members of a table, as precise as its own."""
    spec = FullTable(features=tuple(member.name for member in members), precision=of.precision)
    return Full(name, members, dim, spec)


def split_small(members: Sequence[Member], most: int) -> tuple[list[Member], list[Member]]:
    """Part vocabularies from those of at most `most` ids, which one collision would spoil: (others, small ones).

    >>> [[m.name for m in part] for part in split_small([Member("a", 9), Member("b", 2), Member("c", None)], 5)]
    [['a', 'c'], ['b']]
    """
    small = [member for member in members if member.num_ids is not None and member.num_ids <= most]
    names = {member.name for member in small}
    return [member for member in members if member.name not in names], small
