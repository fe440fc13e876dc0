r"""The model: embeddings, tower and head.

    Batch --Lookup--> rows --Scheme.combine--> vectors of ids --pool--> fields (B, C) --Tower--> logits (B, T)
                                                          \--> behaviours (target, history) --/

`embeddings/layout.py` maps the ids of a batch to rows of physical tables, in the reader's thread.

Dimension key: B rows, C width of all fields, D width of one, T tasks, V ids of one field in the batch.
"""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torchrec.sparse.jagged_tensor import KeyedTensor

from recsys.config import ResolvedConfig
from recsys.config.resolved import BehaviourFields
from recsys.embeddings import Batch, FeatureVocabulary, Layout, Lookup, unpack_lookups
from recsys.embeddings.scheme import physical_name
from recsys.towers import Behaviour, BehaviourInputs, Tower, TowerInputs, build_tower
from recsys.towers.inputs import make_behaviours, pool

__all__ = ["CtrModel", "Output", "TowerBatch", "TowerInputMap", "layout_of", "tower_inputs"]


class Output(NamedTuple):
    """Result of one forward pass."""

    logits: Tensor
    """Logits, (B, T)."""
    penalty: Tensor
    """Mini-batch aware L2 penalty of the rows that were read, without its factor lambda, (); 0 if not regularized."""
    scheme_loss: Tensor
    """Sum of the auxiliary losses of the schemes, ()."""


class TowerBatch(NamedTuple):
    """The inputs of the tower for one batch."""

    fields: Tensor
    """Vectors of the fields side by side, (B, C), in the order of `TowerInputMap.fields`."""
    numbers: Tensor
    """Number features, (B, N)."""
    behaviours: list[Behaviour]


class TowerInputMap(NamedTuple):
    """The fields behind each input of the tower, in the order that the tower was built for."""

    fields: list[str]
    behaviours: dict[str, BehaviourFields]
    """The fields of each behaviour that the tower reads entry by entry, by the behaviour's name."""

    @classmethod
    def of(cls, resolved: ResolvedConfig) -> "TowerInputMap":
        """Return the inputs of the configured tower.

        Behaviours are those with a target, if the tower uses any; all other sequences are fields.
        """
        behaviours = resolved.attendable() if resolved.config.model.uses_behaviours else {}
        read_by_entry = {name for behaviour in behaviours.values() for name in behaviour.sequences}
        fields = [field.name for field in resolved.fields if field.has_ids and field.name not in read_by_entry]
        return cls(fields, behaviours)


def layout_of(resolved: ResolvedConfig, vocabularies: Mapping[str, FeatureVocabulary]) -> Layout:
    """Return the layout that the configured tower and regularization need.

    Args:
        resolved: The resolved configuration.
        vocabularies: Each vocabulary, by the field that owns it.
    """
    return Layout(
        resolved,
        vocabularies,
        jagged=resolved.config.model.uses_behaviours,
        regularized=resolved.config.train.regularization.rows > 0,
    )


class CtrModel(nn.Module):
    """Lookup of rows in the tables, and the dense part that turns them into logits."""

    def __init__(self, resolved: ResolvedConfig, layout: Layout) -> None:
        super().__init__()
        self.layout = layout
        self.lookup = Lookup(layout)
        self.dense_arch = DenseArch(resolved, layout)

    def forward(self, batch: Batch) -> Output:
        """Return the logits of a batch, the penalty of the rows it reads, and the schemes' auxiliary loss."""
        pooled, unpooled = self.lookup(batch)
        output: Output = self.dense_arch(pooled, unpooled, batch)
        return output

    def tower_batch(self, batch: Batch) -> TowerBatch:
        """Return the tower's inputs for a batch, for inspection."""
        pooled, unpooled = self.lookup(batch)
        return self.dense_arch.tower_batch(unpack_lookups(self.layout, pooled, unpooled, batch), batch)

    @property
    def tower(self) -> Tower:
        """The tower of the model."""
        return self.dense_arch.tower

    @property
    def input_map(self) -> TowerInputMap:
        """The fields behind each input of the tower."""
        return self.dense_arch.input_map


class DenseArch(nn.Module):
    """The part of the model that is trained data parallel: schemes, which combine rows to vectors, and the tower."""

    def __init__(self, resolved: ResolvedConfig, layout: Layout) -> None:
        super().__init__()
        self.input_map = TowerInputMap.of(resolved)
        self.sequences = [behaviour.sequences for behaviour in self.input_map.behaviours.values()]
        self.targets = [behaviour.targets for behaviour in self.input_map.behaviours.values()]
        self.layout = layout
        self.schemes = nn.ModuleDict({physical_name(name, ""): scheme for name, scheme in layout.schemes.items()})
        with resolved.config.source.locating():
            self.tower = build_tower(tower_inputs(resolved, layout, self.input_map), resolved.config.model)
        self.is_mixed = resolved.config.train.precision == "bf16-mixed"

    def forward(self, pooled: KeyedTensor | None, unpooled: KeyedTensor | None, batch: Batch) -> Output:
        """Return the output for rows that were looked up; in training, dense layers may compute in bfloat16."""
        rows = unpack_lookups(self.layout, pooled, unpooled, batch)
        with torch.autocast(batch.labels.device.type, torch.bfloat16, enabled=self.is_mixed and self.training):
            logits = self.tower(*self.tower_batch(rows, batch))
            return Output(logits, self._penalty(rows, batch), self._scheme_loss(batch))

    def tower_batch(self, rows: dict[str, list[Tensor]], batch: Batch) -> TowerBatch:
        """Return the tower's inputs for the rows of each field."""
        vectors = {name: self._combine(name, rows[name], batch) for name in rows}
        fields = [self._pool(name, vectors[name], batch) for name in self.input_map.fields]
        flat = torch.cat(fields, dim=1) if fields else batch.numbers.new_zeros(batch.num_rows, 0)
        behaviours = make_behaviours(self.sequences, self.targets, vectors, batch.lengths)
        return TowerBatch(flat, batch.numbers, behaviours)

    def _combine(self, name: str, rows: list[Tensor], batch: Batch) -> Tensor:
        lookup = self.layout.field_lookups[name]
        ids = batch.ids[name][:0] if lookup.form == "bag" else batch.ids[name]
        combined: Tensor = self.layout.scheme_of(name).combine(rows, ids, lookup.feature_index)
        return combined

    def _pool(self, name: str, vectors: Tensor, batch: Batch) -> Tensor:
        """Return one vector for each row, (B, D)."""
        lookup = self.layout.field_lookups[name]
        if lookup.form == "single":
            return vectors
        return pool(vectors, batch.lengths[name], lookup.field.pooling, is_summed=lookup.form == "bag")

    def _scheme_loss(self, batch: Batch) -> Tensor:
        losses = [scheme.pop_aux_loss() for scheme in self.layout.schemes.values()]
        return sum((loss for loss in losses if loss is not None), start=batch.numbers.new_zeros(()))

    def _penalty(self, rows: dict[str, list[Tensor]], batch: Batch) -> Tensor:
        total = batch.numbers.new_zeros(())
        for name, coefficients in batch.penalties.items():
            for row_Vd, coefficient_V in zip(rows[name], coefficients, strict=True):
                total = total + (row_Vd.square().sum(dim=1) * coefficient_V).sum() / 2
        return total


def tower_inputs(resolved: ResolvedConfig, layout: Layout, input_map: TowerInputMap) -> TowerInputs:
    """Return the number and widths of the tower's inputs."""
    lookups = layout.field_lookups.items()
    dims = {name: layout.scheme_of(name).width(lookup.feature_index) for name, lookup in lookups}
    behaviours = [
        BehaviourInputs(
            target_fields=[input_map.fields.index(target) for target in behaviour.targets],
            dim=sum(dims[name] for name in behaviour.sequences),
            target_dim=sum(dims[name] for name in behaviour.targets),
        )
        for behaviour in input_map.behaviours.values()
    ]
    return TowerInputs(
        dims=[dims[name] for name in input_map.fields],
        num_numbers=len(resolved.fields_of_kind("number")),
        behaviours=behaviours,
        num_tasks=len(resolved.config.labels),
    )
