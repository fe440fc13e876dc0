"""The place where ids become rows: fields of the data, row indices of physical tables, and a batch of lookups.

    ids of a field --Scheme.remap--> rows of physical tables --+-- `pooled`:   one key per (field, lookup), B bags each
                                                               +-- `unpooled`: one key per table, all bags end to end

Ids that must not be summed by the kernel, such as a history that DIN weighs by attention, are looked up as bags of one
id: `EmbeddingCollection`, which returns a row for each id, needs one width for all of its tables, and FBGEMM's backward
pass without pooling is about 20 times slower on CPUs. A batch then has as many bags as ids, so the bags of all fields
of such a table are laid end to end under one key, and histories cost no more than the ids they hold. All other tables
have a key for each field, which needs no padding.

Dimension key: B rows of the batch, K physical lookups, V ids of one field.
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
from recsys.embeddings.scheme import FeatureVocabulary, PhysicalTable, Scheme
from recsys.errors import DataError
from recsys.ranks import SINGLE_PROCESS, Exchange

__all__ = ["FieldLookup", "Layout", "count_rows", "pooled_key"]

Form = Literal["single", "bag", "jagged"]


@dataclass(frozen=True, slots=True)
class FieldLookup:
    """The lookup of the ids of one field."""

    field: Field
    scheme: str
    """Name of the scheme that embeds the field, a key of `Layout.schemes`."""
    feature_index: int
    """Index of the field's vocabulary in the scheme."""
    form: Form
    """single: one id a row; bag: ids of a row are summed by the kernel; jagged: a vector for each id."""


class Layout:
    """The schemes of a model, their physical tables, and the order of the lookups' keys.

    Args:
        resolved: The resolved configuration with its fields and tables.
        vocabularies: Each vocabulary, by the field that owns it.
        jagged: Whether the sequences of behaviours with a target reach the tower entry by entry, as in DIN; all others
            are pooled.
        regularized: Whether the rows of each id are penalized, so that they must be looked up one by one.

    Attributes:
        schemes: Every scheme, by its name.
        schemes_by_table: The schemes that store each table of the configuration, by the table's name.
        field_lookups: How each field is looked up, by the field's name.
        physical_tables: Every table that TorchRec stores, by its name.
        pooled_keys: (field, k) of the lookups of each table in `Batch.pooled`, by the physical table's name.
        unpooled_keys: The same of each table in `Batch.unpooled`.
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
        self.schemes_by_table: dict[str, list[Scheme]] = {}
        lookups: dict[str, FieldLookup] = {}
        behaviours = resolved.attendable().values() if jagged else []
        read_by_entry = {name for behaviour in behaviours for name in behaviour.sequences}
        for table in resolved.tables:
            with resolved.config.source.locating():
                schemes = build_schemes(table, [vocabularies[owner] for owner in resolved.vocabularies_in(table)])
            self.schemes_by_table[table.name] = schemes
            self.schemes |= {scheme.name: scheme for scheme in schemes}
            positions = {v.name: (scheme, i) for scheme in schemes for i, v in enumerate(scheme.vocabularies)}
            for name in table.fields:
                field = resolved.field(name)
                scheme, feature_index = positions[resolved.vocabulary_of(field)]
                form = _form(field, scheme, has_vectors=regularized or name in read_by_entry)
                lookups[name] = FieldLookup(field, scheme.name, feature_index, form)
        self.aligned = resolved.aligned()
        self.field_lookups = {field.name: lookups[field.name] for field in resolved.fields if field.name in lookups}
        self.physical_tables: dict[str, PhysicalTable] = {
            table.name: table for scheme in self.schemes.values() for table in scheme.physical_tables()
        }
        self._order_keys()

    def _order_keys(self) -> None:
        """Sort the lookups of each table into `pooled_keys` and `unpooled_keys`."""
        by_table: dict[str, list[tuple[str, int]]] = {name: [] for name in self.physical_tables}
        for name in self.field_lookups:
            for k, table in enumerate(self.tables_of(name)):
                by_table[table.name].append((name, k))
        jagged = {name for name, lookup in self.field_lookups.items() if lookup.form == "jagged"}
        is_unpooled = {table: any(field in jagged for field, _ in keys) for table, keys in by_table.items()}
        self.pooled_keys = {table: keys for table, keys in by_table.items() if not is_unpooled[table]}
        self.unpooled_keys = {table: keys for table, keys in by_table.items() if is_unpooled[table]}

    def scheme_of(self, field: str) -> Scheme:
        """Return the scheme that embeds a field."""
        return self.schemes[self.field_lookups[field].scheme]

    def tables_of(self, field: str) -> list[PhysicalTable]:
        """Return the physical table of each of a field's K lookups."""
        return self.scheme_of(field).tables(self.field_lookups[field].feature_index)

    def ids(self, rows: Rows) -> dict[str, Tensor]:
        """Return the ids of every field: (V,) int64; (B,) for single-valued fields."""
        return {name: self._ids(rows, lookup).long() for name, lookup in self.field_lookups.items()}

    def remap(self, ids: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the rows of physical tables that the ids of every field are stored in: (K, V) int64."""
        lookups = self.field_lookups.items()
        return {name: self.scheme_of(name).remap(ids[name], lookup.feature_index) for name, lookup in lookups}

    def collate(
        self, rows: Rows, *, row_counts: Mapping[str, Tensor] | None = None, exchange: Exchange | None = None
    ) -> Batch:
        """Return rows of prepared data as a batch, or as this rank's part of a batch.

        Args:
            rows: Rows of this rank.
            row_counts: Uses of each row of each physical table in the training data, (rows,); given if the batch needs
                penalties.
            exchange: Exchange with the other ranks; None for a single process.

        Raises:
            DataError: Sequences of one behaviour have different lengths in a row.
        """
        lengths = {name: jagged.lengths for name, jagged in rows.lists.items()}
        if problem := find_misalignment(self.aligned, lengths):
            raise DataError(problem)
        ids = self.ids(rows)
        row_indices = self.remap(ids)
        exchange = exchange or Exchange(SINGLE_PROCESS)
        info = exchange.all_gather_batch_info(self._most_bags(rows))
        most_rows = -(-rows.batch_rows // exchange.world.size)
        return Batch(
            ids=ids,
            lengths=lengths,
            pooled=self._pooled(rows, row_indices, most_rows),
            unpooled=self._unpooled(rows, row_indices, info.max_unpooled),
            penalties=self._penalties(row_indices, row_counts, exchange) if row_counts else {},
            numbers=rows.numbers,
            labels=rows.labels,
            weights=rows.weights,
            groups=rows.groups,
            num_rows=rows.num_rows,
            batch_rows=rows.batch_rows,
            targets=rows.targets,
            signals=info.signals,
        )

    @staticmethod
    def _ids(rows: Rows, lookup: FieldLookup) -> Tensor:
        name = lookup.field.name
        return rows.single[name] if lookup.form == "single" else rows.lists[name].values

    def _bag_lengths(self, rows: Rows, field: str) -> Tensor:
        """Return the length of each bag of a field: (B,), or ones (V,) where every id is a bag."""
        lookup = self.field_lookups[field]
        if lookup.form == "bag":
            return rows.lists[field].lengths
        return torch.ones(len(self._ids(rows, lookup)), dtype=torch.int32)

    def _pooled(self, rows: Rows, row_indices: Mapping[str, Tensor], stride: int) -> KeyedJaggedTensor | None:
        keys = [key for keys in self.pooled_keys.values() for key in keys]
        if not keys:
            return None
        return KeyedJaggedTensor(
            keys=[pooled_key(field, k) for field, k in keys],
            values=torch.cat([row_indices[field][k] for field, k in keys]),
            lengths=torch.cat([_padded(self._bag_lengths(rows, field), stride) for field, _ in keys]),
            stride=stride,
        )

    def _most_bags(self, rows: Rows) -> int:
        """Return the number of bags of the unpooled table that has most."""
        return max((self._num_bags(rows, keys) for keys in self.unpooled_keys.values()), default=0)

    def _num_bags(self, rows: Rows, keys: list[tuple[str, int]]) -> int:
        lookups = [self.field_lookups[field] for field, _ in keys]
        return sum(rows.num_rows if lookup.form == "bag" else len(self._ids(rows, lookup)) for lookup in lookups)

    def _unpooled(self, rows: Rows, row_indices: Mapping[str, Tensor], stride: int) -> KeyedJaggedTensor | None:
        if not self.unpooled_keys:
            return None
        tables = self.unpooled_keys.values()
        lengths = [torch.cat([self._bag_lengths(rows, field) for field, _ in keys]) for keys in tables]
        return KeyedJaggedTensor(
            keys=list(self.unpooled_keys),
            values=torch.cat([row_indices[field][k] for keys in tables for field, k in keys]),
            lengths=torch.cat([_padded(of_table, stride) for of_table in lengths]),
            stride=stride,
        )

    def _penalties(
        self, row_indices: Mapping[str, Tensor], row_counts: Mapping[str, Tensor], exchange: Exchange
    ) -> dict[str, Tensor]:
        """Return 1 / n_row of DIN's section 5.1, spread over the uses of the row in this batch: (K, V) for each field.

        Ranks that use the same row share its penalty, so each tells the others which rows it uses.
        """
        tables = {**self.pooled_keys, **self.unpooled_keys}
        used = {table: [row_indices[field][k] for field, k in keys] for table, keys in tables.items()}
        distinct = {
            table: torch.unique(torch.cat(rows), return_inverse=True, return_counts=True)
            for table, rows in used.items()
        }
        sizes = (self.physical_tables[table].rows for table in tables)
        first = dict(zip(tables, accumulate(sizes, initial=0), strict=False))
        holders = exchange.count_holders(torch.cat([rows + first[table] for table, (rows, _, _) in distinct.items()]))
        by_table = torch.split(holders, [len(rows) for rows, _, _ in distinct.values()])
        found: dict[tuple[str, int], Tensor] = {}
        for (table, (_, position, uses)), holders_U in zip(distinct.items(), by_table, strict=True):
            uses_of_lookup = (uses * holders_U)[position].split([len(row) for row in used[table]])
            for key, row, shared in zip(tables[table], used[table], uses_of_lookup, strict=True):
                found[key] = 1.0 / (row_counts[table][row].clamp(min=1) * shared)
        num_lookups = {field: len(row_indices[field]) for field in self.field_lookups if len(row_indices[field])}
        return {field: torch.stack([found[field, k] for k in range(num)]) for field, num in num_lookups.items()}


def _form(field: Field, scheme: Scheme, *, has_vectors: bool) -> Form:
    """Return how a field is looked up; with `has_vectors`, the vector of each entry of a list is needed."""
    if not field.is_list:
        return "single"
    return "jagged" if has_vectors or not scheme.sums_bags else "bag"


def _padded(lengths: Tensor, size: int) -> Tensor:
    """Return the lengths of bags, followed by those of empty bags."""
    return lengths if len(lengths) == size else torch.nn.functional.pad(lengths, (0, size - len(lengths)))


def pooled_key(field: str, k: int) -> str:
    """Return the key of a field's k-th lookup in `Batch.pooled`."""
    return field if k == 0 else f"{field}@{k}"


def count_rows(layout: Layout, batches: Iterable[Rows]) -> dict[str, Tensor]:
    """Return how often each row of each physical table is used by the training data: (rows,) float32, by table.

    DIFF: n_j of DIN's section 5.1 is the number of samples with the row; here it is the number of uses, so that a row
    which a history repeats has a smaller penalty. To count samples would change the published figures of DIN.
    """
    # Counted in integers: adding 1 to a float32 of 2**24 does not change it.
    counts = {name: torch.zeros(table.rows, dtype=torch.int64) for name, table in layout.physical_tables.items()}
    keys_by_table = {**layout.pooled_keys, **layout.unpooled_keys}
    for rows in batches:
        row_indices = layout.remap(layout.ids(rows))
        for table, keys in keys_by_table.items():
            for field, k in keys:
                counts[table].index_add_(0, row_indices[field][k], torch.ones_like(row_indices[field][k]))
    return {name: count.float() for name, count in counts.items()}
