r"""Where embeddings, tower and head meet.

    batch --lookup--> rows --scheme.combine--> vectors of ids --pool--> fields (B, C) --tower--> logits (B, T)
                                                          \--> behaviours (target, history) --/

Dimension key: B rows, C width of all fields, D width of one, T tasks, V ids of one field in the batch.
"""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torchrec.sparse.jagged_tensor import KeyedTensor

from recsys.config import ResolvedConfig
from recsys.embeddings import Batch, FeatureVocabulary, Layout, Lookup, unpack_lookups
from recsys.embeddings.scheme import physical_name
from recsys.towers import Behaviour, BehaviourInputs, Tower, TowerInputs, build_tower
from recsys.towers.inputs import make_behaviours, pool

__all__ = ["CtrModel", "Output", "TowerBatch", "TowerInputMap", "layout_of", "tower_inputs"]


class Output(NamedTuple):
    """What one forward pass gives."""

    logits: Tensor
    """(B, T)."""
    penalty: Tensor
    """(), the mini-batch aware L2 of the rows read, without its factor lambda; 0 when not regularised."""
    scheme_loss: Tensor
    """(), what schemes add to the loss for the sake of their own parameters."""


class TowerBatch(NamedTuple):
    """What the tower is called with for one batch."""

    fields: Tensor
    """(B, C), in the order of `TowerInputMap.fields`."""
    numbers: Tensor
    """(B, N)."""
    behaviours: list[Behaviour]


class TowerInputMap(NamedTuple):
    """Which fields go where in the tower, in the order it was built for."""

    fields: list[str]
    behaviours: dict[str, list[str]]
    """Behaviour -> its sequences, which are aligned entry by entry."""

    @classmethod
    def of(cls, resolved: ResolvedConfig) -> "TowerInputMap":
        """Return the wiring for the plan's tower: sequences are behaviours if it uses them, else fields."""
        ids = [field for field in resolved.fields if field.has_ids]
        if not resolved.config.model.uses_behaviours:
            return cls([field.name for field in ids], {})
        return cls([field.name for field in ids if field.kind != "sequence"], resolved.behaviours())


def layout_of(resolved: ResolvedConfig, vocabularies: Mapping[str, FeatureVocabulary]) -> Layout:
    """Return the layout that a plan's tower and regularisation need; `vocabularies` are keyed by their fields."""
    return Layout(
        resolved,
        vocabularies,
        jagged=resolved.config.model.uses_behaviours,
        regularized=resolved.config.train.regularization.rows > 0,
    )


class CtrModel(nn.Module):
    """Lookup, and the body that makes logits of what it found."""

    def __init__(self, resolved: ResolvedConfig, layout: Layout) -> None:
        super().__init__()
        self.layout = layout
        self.lookup = Lookup(layout)
        self.body = DenseArch(resolved, layout)

    def forward(self, batch: Batch) -> Output:
        """Score a batch: logits (B, T) and the penalty of the rows it read."""
        pooled, slots = self.lookup(batch)
        output: Output = self.body(pooled, slots, batch)
        return output

    def tower_batch(self, batch: Batch) -> TowerBatch:
        """Return what the tower is fed for a batch, to look inside it."""
        pooled, slots = self.lookup(batch)
        return self.body.tower_batch(unpack_lookups(self.layout, pooled, slots, batch), batch)

    @property
    def tower(self) -> Tower:
        """The tower."""
        return self.body.tower

    @property
    def wiring(self) -> TowerInputMap:
        """Which fields the tower is fed."""
        return self.body.wiring


class DenseArch(nn.Module):
    """Everything that is no lookup: schemes, which make vectors of rows, and the tower."""

    def __init__(self, resolved: ResolvedConfig, layout: Layout) -> None:
        super().__init__()
        self.wiring = TowerInputMap.of(resolved)
        self.sequences = list(self.wiring.behaviours.values())
        self.targets = [resolved.targets_of(names) for names in self.sequences]
        self.layout = layout
        self.schemes = nn.ModuleDict({physical_name(name, ""): scheme for name, scheme in layout.schemes.items()})
        self.tower = build_tower(tower_inputs(resolved, layout, self.wiring), resolved.config.model)
        self.is_mixed = resolved.config.train.precision == "bf16-mixed"

    def forward(self, pooled: KeyedTensor | None, slots: KeyedTensor | None, batch: Batch) -> Output:
        """Make logits (B, T) of the rows found; in training, dense layers may run in bfloat16."""
        rows = unpack_lookups(self.layout, pooled, slots, batch)
        with torch.autocast(batch.labels.device.type, torch.bfloat16, enabled=self.is_mixed and self.training):
            logits = self.tower(*self.tower_batch(rows, batch))
            return Output(logits, self._penalty(rows, batch), self._scheme_loss(batch))

    def tower_batch(self, rows: dict[str, list[Tensor]], batch: Batch) -> TowerBatch:
        """Return what the tower is fed."""
        vectors = {name: self._combine(name, rows[name], batch) for name in rows}
        fields = [self._pool(name, vectors[name], batch) for name in self.wiring.fields]
        flat = torch.cat(fields, dim=1) if fields else batch.numbers.new_zeros(batch.num_rows, 0)
        behaviours = make_behaviours(self.sequences, self.targets, vectors, batch.lengths)
        return TowerBatch(flat, batch.numbers, behaviours)

    def _combine(self, name: str, rows: list[Tensor], batch: Batch) -> Tensor:
        read = self.layout.reads[name]
        ids = batch.ids[name][:0] if read.form == "bag" else batch.ids[name]
        combined: Tensor = self.layout.schemes[read.scheme].combine(rows, ids, read.feature_index)
        return combined

    def _pool(self, name: str, vectors: Tensor, batch: Batch) -> Tensor:
        """Return one vector a row, (B, D)."""
        read = self.layout.reads[name]
        if read.form == "single":
            return vectors
        return pool(vectors, batch.lengths[name], read.field.pooling, is_summed=read.form == "bag")

    def _scheme_loss(self, batch: Batch) -> Tensor:
        losses = [scheme.pop_aux_loss() for scheme in self.layout.schemes.values()]
        return sum((loss for loss in losses if loss is not None), start=batch.numbers.new_zeros(()))

    def _penalty(self, rows: dict[str, list[Tensor]], batch: Batch) -> Tensor:
        total = batch.numbers.new_zeros(())
        for name, coefficients in batch.penalties.items():
            for row_Vd, coefficient_V in zip(rows[name], coefficients, strict=True):
                total = total + (row_Vd.square().sum(dim=1) * coefficient_V).sum() / 2
        return total


def tower_inputs(resolved: ResolvedConfig, layout: Layout, wiring: TowerInputMap) -> TowerInputs:
    """Return the widths of what the tower of a plan is fed."""
    dims = {name: layout.schemes[read.scheme].width(read.feature_index) for name, read in layout.reads.items()}
    behaviours = []
    for names in wiring.behaviours.values():
        places = [wiring.fields.index(target) for target in resolved.targets_of(names)]
        behaviours.append(BehaviourInputs(places, sum(dims[name] for name in names)))
    return TowerInputs(
        dims=[dims[name] for name in wiring.fields],
        num_numbers=len(resolved.fields_of_kind("number")),
        behaviours=behaviours,
        num_tasks=len(resolved.config.labels),
    )
