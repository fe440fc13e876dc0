"""Tables whose features are stored apart: one scheme for each member, and plain rows where those are no larger."""

from collections.abc import Sequence

from recsys.config.tables import FullTable, Table
from recsys.embeddings.full import Full
from recsys.embeddings.scheme import Member, Scheme

__all__ = ["plain", "separate", "shares"]


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
        is_smaller = member.num_ids is None or made.serving_bytes() < 4 * dim * member.num_ids
        found.append(made if is_smaller else plain(f"{name}/{member.name}", [member], dim))
    return found


def plain(name: str, members: Sequence[Member], dim: int) -> Full:
    """Return a row for each id of some members."""
    return Full(name, members, dim, FullTable(features=tuple(member.name for member in members)))
