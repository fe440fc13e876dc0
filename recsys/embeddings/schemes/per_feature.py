"""Helpers of schemes that store each feature by itself, and give small features a full table."""

from collections.abc import Sequence

from recsys.config.schemes import TableSection
from recsys.config.schemes.full import FullTable
from recsys.embeddings.scheme import FeatureVocabulary, Scheme
from recsys.embeddings.schemes.full import Full

__all__ = ["full_if_smaller", "full_table", "per_feature", "proportional_sizes", "split_small"]


def proportional_sizes(total: int, vocabularies: Sequence[FeatureVocabulary]) -> list[int]:
    """Split `total` units between vocabularies in proportion to their sizes, at least one each.

    Open vocabularies, whose size is unknown, count as much as the largest known one.

    >>> proportional_sizes(100, [FeatureVocabulary("a", 300), FeatureVocabulary("b", 99), FeatureVocabulary("c", 1)])
    [75, 24, 1]
    """
    known = [vocabulary.num_ids for vocabulary in vocabularies if vocabulary.num_ids is not None]
    sizes = [vocabulary.num_ids or max(known, default=1) for vocabulary in vocabularies]
    return [max(1, total * size // sum(sizes)) for size in sizes]


def per_feature(
    kind: type[Scheme],
    name: str,
    vocabularies: Sequence[FeatureVocabulary],
    dim: int,
    spec: TableSection,
    *,
    sizes: Sequence[int] | None = None,
) -> list[Scheme]:
    """Build one scheme for each vocabulary, a full table where the compressed form would not be smaller.

    Args:
        kind: the class of the scheme.
        name: name of the table.
        vocabularies: the vocabularies it holds.
        dim: width of the embedding, in floats.
        spec: the table's section, with its size parameter set.
        sizes: the size parameter of each vocabulary; that of `spec` for all when not given.
    """
    found: list[Scheme] = []
    for i, vocabulary in enumerate(vocabularies):
        changes = {} if sizes is None or spec.size_param is None else {spec.size_param: sizes[i]}
        made = kind.for_feature(name, vocabulary, dim, spec.model_copy(update=changes))
        found.append(full_if_smaller(made))
    return found


def full_if_smaller(made: Scheme) -> Scheme:
    """Return a scheme, or a full table for its vocabularies if that takes no more bytes."""
    sizes = [vocabulary.num_ids for vocabulary in made.vocabularies]
    if None in sizes or made.serving_bytes() < made.weight_bytes * made.dim * sum(size or 0 for size in sizes):
        return made
    return full_table(made.name, made.vocabularies, made.dim, made.spec)


def full_table(name: str, vocabularies: Sequence[FeatureVocabulary], dim: int, of: TableSection) -> Full:
    """Build a full table for some vocabularies of a table, in the precision of its rows."""
    spec = FullTable(features=tuple(vocabulary.name for vocabulary in vocabularies), precision=of.precision)
    return Full(name, vocabularies, dim, spec)


def split_small(
    vocabularies: Sequence[FeatureVocabulary], most: int
) -> tuple[list[FeatureVocabulary], list[FeatureVocabulary]]:
    """Split off vocabularies of at most `most` ids, to which one collision does much harm: (others, small ones).

    >>> sizes = {"a": 9, "b": 2, "c": None}
    >>> parts = split_small([FeatureVocabulary(name, size) for name, size in sizes.items()], 5)
    >>> [[vocabulary.name for vocabulary in part] for part in parts]
    [['a', 'c'], ['b']]
    """
    small = [vocabulary for vocabulary in vocabularies if vocabulary.num_ids is not None and vocabulary.num_ids <= most]
    names = {vocabulary.name for vocabulary in small}
    return [vocabulary for vocabulary in vocabularies if vocabulary.name not in names], small
