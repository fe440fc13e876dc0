"""Which field is looked up where: from a plan to the keys of the lookups, and from rows of data to a batch.

    field --scheme.remap--> rows of physical tables --+-- `pooled`: a key for each (field, lookup), B bags each
                                                      +-- `slots`:  a key for each table, all its bags end to end

Why two: ids that must not be summed (a history that attention weighs) are read as bags of one id, of which a batch has
as many as ids. Such tables take one key with the bags of all their fields, so jagged histories cost what they
hold. All other tables keep a key for each field, which needs no padding.

Dimension key: B rows, K physical lookups, V ids of one field, S slots.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal

import torch
from torch import Tensor
from torchrec.sparse.jagged_tensor import KeyedJaggedTensor

from recsys.config import Field, ResolvedConfig
from recsys.data.alignment import find_misalignment
from recsys.data.rows import Rows
from recsys.embeddings.batch import Batch
from recsys.embeddings.build import build_schemes
from recsys.embeddings.constraints import table_constraints
from recsys.embeddings.scheme import FeatureVocabulary, PhysicalTable, Scheme
from recsys.errors import DataError
from recsys.ranks import SINGLE_PROCESS, Exchange

__all__ = ["Layout", "FieldLookup", "count_rows"]


@dataclass(frozen=True, slots=True)
class FieldLookup:
    """How one field is read."""

    field: Field
    scheme: str
    """Key in `Layout.schemes`."""
    feature_index: int
    """Of the scheme."""
    form: Literal["single", "bag", "jagged"]
    """single: one id a row; bag: summed by the kernel; jagged: a vector for each id."""


class Layout:
    """The fixed part: schemes, physical tables, and the order of keys.

    Args:
        resolved: fields and tables.
        vocabularies: each vocabulary, by the field that owns it.
        jagged: sequences reach the tower entry by entry (DIN); else they are pooled.
        regularized: rows are penalised, so that each of them must be seen by itself.
    """

    def __init__(
        self,
        resolved: ResolvedConfig,
        vocabularies: Mapping[str, FeatureVocabulary],
        *,
        jagged: bool,
        regularized: bool,
    ) -> None:
        self.resolved = resolved
        self.schemes: dict[str, Scheme] = {}
        self.tables: dict[str, list[Scheme]] = {}
        reads: dict[str, FieldLookup] = {}
        for table in resolved.tables:
            self.tables[table.name] = build_schemes(
                table, [vocabularies[owner] for owner in resolved.vocabularies_in(table)]
            )
            self.schemes |= {scheme.name: scheme for scheme in self.tables[table.name]}
            places = {m.name: (s, i) for s in self.tables[table.name] for i, m in enumerate(s.vocabularies)}
            for name in table.fields:
                field = resolved.field(name)
                scheme, feature_index = places[resolved.vocabulary_of(field)]
                form: Literal["single", "bag", "jagged"] = "bag"
                if not field.is_list:
                    form = "single"
                elif regularized or not scheme.sums_bags or (jagged and field.kind == "sequence"):
                    form = "jagged"
                reads[name] = FieldLookup(field, scheme.name, feature_index, form)
        self.aligned = [names for names in resolved.behaviours().values() if len(names) > 1]
        self.reads = {field.name: reads[field.name] for field in resolved.fields if field.name in reads}
        self.requests = table_constraints(resolved, self.tables)
        self.physical: dict[str, PhysicalTable] = {t.name: t for s in self.schemes.values() for t in s.physical()}
        self._place_keys()

    def _place_keys(self) -> None:
        """Sort lookups into `pooled_keys` (table -> its keys) and `slot_keys` (table -> its (field, k))."""
        by_table: dict[str, list[tuple[str, int]]] = {name: [] for name in self.physical}
        for name in self.reads:
            for k, table in enumerate(self.lookups(name)):
                by_table[table.name].append((name, k))
        jagged = {read.field.name for read in self.reads.values() if read.form == "jagged"}
        is_slotted = {table: any(field in jagged for field, _ in lookups) for table, lookups in by_table.items()}
        self.pooled_keys = {table: lookups for table, lookups in by_table.items() if not is_slotted[table]}
        self.slot_keys = {table: lookups for table, lookups in by_table.items() if is_slotted[table]}

    def lookups(self, field: str) -> list[PhysicalTable]:
        """Return the table of each physical lookup of a field."""
        return self.schemes[self.reads[field].scheme].tables(self.reads[field].feature_index)

    def ids(self, rows: Rows) -> dict[str, Tensor]:
        """Return the logical ids of every field: (V,) int64; (B,) of single-valued ones."""
        return {name: self._ids(rows, read).long() for name, read in self.reads.items()}

    def remap(self, ids: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return rows of physical tables for the ids of every field: (K, V) int64."""
        return {
            name: self.schemes[read.scheme].remap(ids[name], read.feature_index) for name, read in self.reads.items()
        }

    def collate(
        self, rows: Rows, *, row_counts: Mapping[str, Tensor] | None = None, exchange: Exchange | None = None
    ) -> Batch:
        """Turn rows of prepared data into a batch, or into a rank's part of it.

        Args:
            rows: of this rank.
            row_counts: uses of each row of each physical table, (rows,); asks for penalties.
            exchange: with the other ranks; None when alone.

        Raises:
            DataError: sequences of one behaviour have different lengths in a row.
        """
        lengths = {name: jagged.lengths for name, jagged in rows.lists.items()}
        if problem := find_misalignment(self.aligned, lengths):
            raise DataError(problem)
        ids = self.ids(rows)
        physical = self.remap(ids)
        exchange = exchange or Exchange(SINGLE_PROCESS)
        weight = rows.num_rows if rows.weights is None else float(rows.weights.sum(dtype=torch.float64))
        info = exchange.all_gather_batch_info(weight, self._most_slots(rows))
        most_rows = -(-rows.batch_rows // exchange.world.size)
        return Batch(
            ids=ids,
            lengths=lengths,
            pooled=self._pooled(rows, physical, most_rows),
            slots=self._slots(rows, physical, info.max_unpooled),
            penalties=self._penalties(physical, row_counts, exchange) if row_counts else {},
            numbers=rows.numbers,
            labels=rows.labels,
            weights=rows.weights,
            groups=rows.groups,
            num_rows=rows.num_rows,
            batch_rows=rows.batch_rows,
            total_weight=info.total_weight,
            signals=info.signals,
        )

    @staticmethod
    def _ids(rows: Rows, read: FieldLookup) -> Tensor:
        name = read.field.name
        return rows.single[name] if read.form == "single" else rows.lists[name].values

    def _bag_lengths(self, rows: Rows, field: str) -> Tensor:
        """Return the length of each bag of a field: (B,), or ones (V,) where every id is a bag."""
        read = self.reads[field]
        if read.form == "bag":
            return rows.lists[field].lengths
        return torch.ones(len(self._ids(rows, read)), dtype=torch.int32)

    def _pooled(self, rows: Rows, physical: Mapping[str, Tensor], stride: int) -> KeyedJaggedTensor | None:
        lookups = [lookup for lookups in self.pooled_keys.values() for lookup in lookups]
        if not lookups:
            return None
        return KeyedJaggedTensor(
            keys=[pooled_key(field, k) for field, k in lookups],
            values=torch.cat([physical[field][k] for field, k in lookups]),
            lengths=torch.cat([_padded(self._bag_lengths(rows, field), stride) for field, _ in lookups]),
            stride=stride,
        )

    def _most_slots(self, rows: Rows) -> int:
        """Return the slots of the table that has most."""
        return max((self._num_slots(rows, lookups) for lookups in self.slot_keys.values()), default=0)

    def _num_slots(self, rows: Rows, lookups: list[tuple[str, int]]) -> int:
        reads = [self.reads[field] for field, _ in lookups]
        return sum(rows.num_rows if read.form == "bag" else len(self._ids(rows, read)) for read in reads)

    def _slots(self, rows: Rows, physical: Mapping[str, Tensor], stride: int) -> KeyedJaggedTensor | None:
        if not self.slot_keys:
            return None
        lengths = [
            torch.cat([self._bag_lengths(rows, field) for field, _ in lookups]) for lookups in self.slot_keys.values()
        ]
        return KeyedJaggedTensor(
            keys=list(self.slot_keys),
            values=torch.cat([physical[f][k] for lookups in self.slot_keys.values() for f, k in lookups]),
            lengths=torch.cat([_padded(slots, stride) for slots in lengths]),
            stride=stride,
        )

    def _penalties(
        self, physical: Mapping[str, Tensor], row_counts: Mapping[str, Tensor], exchange: Exchange
    ) -> dict[str, Tensor]:
        """Spread 1 / n_row of DIN's section 5.1 over the uses of the row in this batch: (K, V) for each field.

        Ranks that read the same row share its penalty, so each tells the others which rows it reads.
        """
        tables = {**self.pooled_keys, **self.slot_keys}
        read = {table: [physical[field][k] for field, k in lookups] for table, lookups in tables.items()}
        distinct = {
            table: torch.unique(torch.cat(rows), return_inverse=True, return_counts=True)
            for table, rows in read.items()
        }
        first = dict(zip(tables, accumulate((self.physical[table].rows for table in tables), initial=0), strict=False))
        holders = exchange.count_holders(torch.cat([rows + first[table] for table, (rows, _, _) in distinct.items()]))
        found: dict[tuple[str, int], Tensor] = {}
        sharing = torch.split(holders, [len(rows) for rows, _, _ in distinct.values()])
        for (table, (_, use, uses)), holders_U in zip(distinct.items(), sharing, strict=True):
            times = (uses * holders_U)[use].split([len(row) for row in read[table]])
            for lookup, row, shared in zip(tables[table], read[table], times, strict=True):
                found[lookup] = 1.0 / (row_counts[table][row].clamp(min=1) * shared)
        places = {field: range(len(physical[field])) for field in self.reads if len(physical[field])}
        return {field: torch.stack([found[field, k] for k in lookups]) for field, lookups in places.items()}


def _padded(lengths: Tensor, size: int) -> Tensor:
    """Add empty bags."""
    return lengths if len(lengths) == size else torch.nn.functional.pad(lengths, (0, size - len(lengths)))


def pooled_key(field: str, k: int) -> str:
    """Return the key of a field's k-th lookup."""
    return field if k == 0 else f"{field}@{k}"


def count_rows(layout: Layout, batches: Iterable[Rows]) -> dict[str, Tensor]:
    """Count how often each row of each physical table is read in the training data.

    Returns:
        One float32 tensor (rows,) for each table.
    """
    # In integers: a float32 that has reached 2**24 does not change when 1 is added.
    counts = {name: torch.zeros(table.rows, dtype=torch.int64) for name, table in layout.physical.items()}
    lookups = [lookup for keys in (layout.pooled_keys, layout.slot_keys) for lookup in keys.items()]
    for rows in batches:
        physical = layout.remap(layout.ids(rows))
        for table, keys in lookups:
            for field, k in keys:
                counts[table].index_add_(0, physical[field][k], torch.ones_like(physical[field][k]))
    return {name: count.float() for name, count in counts.items()}
