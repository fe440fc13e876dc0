"""Tables whose features are stored apart: one scheme for each vocabulary, and plain rows where those are no larger."""

from collections.abc import Sequence

from recsys.config.tables import FullTable, Table
from recsys.embeddings.scheme import FeatureVocabulary, Scheme
from recsys.embeddings.schemes.full import Full

__all__ = ["full_if_smaller", "plain", "separate", "shares", "split_small"]


def shares(total: int, vocabularies: Sequence[FeatureVocabulary]) -> list[int]:
    """Deal `total` units to vocabularies in proportion to their sizes, at least one each.

    Open vocabularies, whose size nobody knows, count as much as the largest known one.

    >>> shares(100, [FeatureVocabulary("a", 300), FeatureVocabulary("b", 99), FeatureVocabulary("c", 1)])
    [75, 24, 1]
    """
    known = [vocabulary.num_ids for vocabulary in vocabularies if vocabulary.num_ids is not None]
    sizes = [vocabulary.num_ids or max(known, default=1) for vocabulary in vocabularies]
    return [max(1, total * size // sum(sizes)) for size in sizes]


def separate(
    kind: type[Scheme],
    name: str,
    vocabularies: Sequence[FeatureVocabulary],
    dim: int,
    spec: Table,
    *,
    sizes: Sequence[int] | None = None,
) -> list[Scheme]:
    """Return a scheme for each vocabulary, with plain rows for vocabularies whose compressed form is not smaller.

    Args:
        kind: the scheme.
        name: of the table.
        vocabularies: of the table.
        dim: of the table.
        spec: of the table, its knob set.
        sizes: the knob of each vocabulary; that of `spec` for all when not given.
    """
    found: list[Scheme] = []
    for i, vocabulary in enumerate(vocabularies):
        changes = {} if sizes is None or spec.size_param is None else {spec.size_param: sizes[i]}
        made = kind.alone(name, vocabulary, dim, spec.model_copy(update=changes))
        found.append(full_if_smaller(made))
    return found


def full_if_smaller(made: Scheme) -> Scheme:
    """Return a scheme, or a row for each id of its vocabularies if that takes no more bytes."""
    sizes = [vocabulary.num_ids for vocabulary in made.vocabularies]
    if None in sizes or made.serving_bytes() < made.weight_bytes * made.dim * sum(size or 0 for size in sizes):
        return made
    return plain(made.name, made.vocabularies, made.dim, made.spec)


def plain(name: str, vocabularies: Sequence[FeatureVocabulary], dim: int, of: Table) -> Full:
    """Return a row for each id of some vocabularies of a table, as precise as its own."""
    spec = FullTable(features=tuple(vocabulary.name for vocabulary in vocabularies), precision=of.precision)
    return Full(name, vocabularies, dim, spec)


def split_small(
    vocabularies: Sequence[FeatureVocabulary], most: int
) -> tuple[list[FeatureVocabulary], list[FeatureVocabulary]]:
    """Part vocabularies from those of at most `most` ids, which one collision would spoil: (others, small ones).

    >>> sizes = {"a": 9, "b": 2, "c": None}
    >>> parts = split_small([FeatureVocabulary(name, size) for name, size in sizes.items()], 5)
    >>> [[vocabulary.name for vocabulary in part] for part in parts]
    [['a', 'c'], ['b']]
    """
    small = [vocabulary for vocabulary in vocabularies if vocabulary.num_ids is not None and vocabulary.num_ids <= most]
    names = {vocabulary.name for vocabulary in small}
    return [vocabulary for vocabulary in vocabularies if vocabulary.name not in names], small
