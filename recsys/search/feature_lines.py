"""The lines of the report: each feature and its embeddings, before the search and after it."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from recsys.config import ResolvedConfig, ResolvedTable
from recsys.config.schemes.base import RowPrecision
from recsys.data.prepared import Prepared
from recsys.embeddings.build import build_schemes
from recsys.embeddings.scheme import FeatureVocabulary, Scheme
from recsys.embeddings.vocabularies import vocabularies_by_table
from recsys.features.state import TransformState
from recsys.search.scorer import DropCost
from recsys.search.shape import TableShape
from recsys.search.supernet import is_searchable

__all__ = ["FeatureLine", "changed_lines", "shape_lines"]


@dataclass(frozen=True, kw_only=True)
class FeatureLine:
    """The embeddings of one vocabulary, or of a table that the search leaves as it is, before and after."""

    name: str
    num_ids: int | None
    """Ids, the unknown one included; None if any key is allowed, or the table has several vocabularies."""
    uses: int | None
    """Values in the training rows; None if they were not counted."""
    before: str
    """Form of the embeddings: "32", "32 fp16", or "32 (hash)"."""
    after: str
    rows: int | None = None
    """Ids that are left; None if none is taken away."""
    bytes_before: int
    bytes_after: int
    drop: DropCost | None = None
    """Cost of dropping the feature alone; None if it was not measured."""

    @property
    def is_dropped(self) -> bool:
        """Whether nothing is left of it."""
        return self.bytes_after == 0 and self.bytes_before > 0

    @property
    def is_changed(self) -> bool:
        """Whether it differs from what it was."""
        return self.before != self.after or self.rows is not None

    @property
    def saved(self) -> int:
        """Bytes saved."""
        return self.bytes_before - self.bytes_after


def shape_lines(
    prepared: Prepared, shapes: Mapping[str, TableShape], drops: Mapping[str, DropCost]
) -> list[FeatureLine]:
    """Return a line for each vocabulary that a supernet searches, and for each other table; most bytes saved first."""
    resolved, state = prepared.resolved, prepared.state
    by_table = vocabularies_by_table(resolved, state)
    lines = []
    for table in resolved.tables:
        if not is_searchable(table):
            lines.append(_unchanged(table, by_table[table.name]))
            continue
        for vocabulary in by_table[table.name]:
            dim, precision = table.dim, table.spec.served_precision
            whole = TableShape.prefix(vocabulary.name, num_ids=vocabulary.size, dim=dim, width=dim, precision=precision)
            shape = shapes.get(vocabulary.name, whole)
            lines.append(
                FeatureLine(
                    name=vocabulary.name,
                    num_ids=vocabulary.size,
                    uses=_uses(state, vocabulary.name),
                    before=describe_shape(whole),
                    after=describe_shape(shape),
                    rows=shape.num_kept if shape.prunes_rows and not shape.is_dropped else None,
                    bytes_before=whole.serving_bytes,
                    bytes_after=shape.serving_bytes,
                    drop=drops.get(vocabulary.name),
                )
            )
    return sorted(lines, key=lambda line: -line.saved)


def describe_shape(shape: TableShape) -> str:
    """Return the widths of a shape: one, or that of each block and its ids; and the precision if it is not fp32.

    >>> describe_shape(TableShape.prefix("item", num_ids=100, dim=16, width=8))
    '8'
    >>> describe_shape(TableShape(vocabulary="a", dim=4, block_sizes=(10, 990), columns=((0, 1), ())))
    '2 (10 ids), 0 (990 ids)'
    """
    if shape.is_dropped:
        return "dropped"
    blocks = shape.blocks
    if len(blocks) == 1:
        return _form(str(len(blocks[0].columns)), shape.precision)
    return _form(", ".join(f"{len(block.columns)} ({block.num_ids:,} ids)" for block in blocks), shape.precision)


def _form(widths: str, precision: RowPrecision, scheme: str = "full") -> str:
    notes = [precision] * (precision != "fp32") + [f"({scheme})"] * (scheme != "full")
    return " ".join([widths, *notes])


def changed_lines(
    before: ResolvedConfig, after: ResolvedConfig, state: TransformState, after_state: TransformState
) -> list[FeatureLine]:
    """Return a line for each part of the tables of a configuration that another one stores otherwise, or no more.

    A table whose parts store several vocabularies together is one line.
    """
    old, new = _parts(before, state), _parts(after, after_state)
    kept = {name: part for part in new for name in part.names}
    lines = []
    for part in old:
        found = list(dict.fromkeys(kept[name] for name in part.names if name in kept))
        lines.append(
            FeatureLine(
                name=", ".join(part.names),
                num_ids=part.num_ids,
                uses=sum(_uses(state, name) or 0 for name in part.names) or None,
                before=part.form,
                after=", ".join(dict.fromkeys(one.form for one in found)) or "dropped",
                bytes_before=part.bytes,
                bytes_after=sum(one.bytes // len(one.names) * len(set(one.names) & set(part.names)) for one in found),
            )
        )
    return sorted(lines, key=lambda line: -line.saved)


@dataclass(frozen=True)
class _Part:
    """A scheme that stores a table or a part of one."""

    names: tuple[str, ...]
    num_ids: int | None
    form: str
    bytes: int


def _parts(resolved: ResolvedConfig, state: TransformState) -> list[_Part]:
    by_table = vocabularies_by_table(resolved, state)
    schemes = [scheme for table in resolved.tables for scheme in _schemes(table, by_table[table.name])]
    return [_part(scheme) for scheme in schemes]


def _part(scheme: Scheme) -> _Part:
    sizes = [vocabulary.num_ids for vocabulary in scheme.vocabularies]
    widths = ", ".join(dict.fromkeys(str(scheme.width(i)) for i in range(len(sizes))))
    names = tuple(vocabulary.name for vocabulary in scheme.vocabularies)
    num_ids = None if None in sizes else sum(size or 0 for size in sizes)
    form = _form(widths, scheme.spec.served_precision, scheme.spec.scheme)
    return _Part(names, num_ids, form, scheme.serving_bytes())


def _unchanged(table: ResolvedTable, vocabularies: list[FeatureVocabulary]) -> FeatureLine:
    size = sum(scheme.serving_bytes() for scheme in _schemes(table, vocabularies))
    form = _form(str(table.dim), table.spec.served_precision, table.spec.scheme)
    return FeatureLine(
        name=", ".join(vocabulary.name for vocabulary in vocabularies),
        num_ids=None,
        uses=None,
        before=form,
        after=form,
        bytes_before=size,
        bytes_after=size,
    )


def _schemes(table: ResolvedTable, vocabularies: list[FeatureVocabulary]) -> list[Scheme]:
    with torch.device("meta"):
        return build_schemes(table, vocabularies)


def _uses(state: TransformState, name: str) -> int | None:
    """Return the values of a vocabulary in the training rows, those of unknown ids included."""
    known = state.vocabularies.get(name)
    return None if known is None else int(known.counts.sum())
