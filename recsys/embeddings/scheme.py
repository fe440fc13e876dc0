"""The contract of an embedding scheme: how ids become rows of physical tables, and rows become embeddings.

    ids --remap--> row indices --TorchRec's lookup--> rows --combine--> embeddings

`remap` has no parameters and runs in the reader's thread; the exported graph runs the same code. Everything that is
differentiable and not a row belongs to `combine`. A scheme whose parameters are not rows of floats (an MLP, integer
codes) has no physical tables: its `combine` gets the ids and reads its own parameters and buffers. `serving` returns
the exported form, whose parameters may be others than those that are trained: codes, cores, packed integers.

Dimension key: V ids, K physical lookups, D width of the embedding.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar, Literal, NamedTuple, Self, get_args

import torch
from torch import Tensor, nn

from recsys.config import SparseOptimizer, TrainSection
from recsys.config.schemes import CustomTable, TableSection
from recsys.embeddings.hashing import expected_collisions
from recsys.embeddings.rows import make_rows
from recsys.embeddings.serving import RowReader

__all__ = [
    "Init",
    "FeatureVocabulary",
    "Phase",
    "PhysicalTable",
    "Scheme",
    "Sizes",
    "StageStep",
    "bytes_by_phase",
    "tensor_bytes",
]

Phase = Literal["training", "checkpoint", "serving"]
CollisionCause = Literal["never", "by_hashing", "by_training"]

ROW_STATE = {"rowwise_adagrad": (1, 0), "adagrad": (0, 1), "sgd": (0, 0), "adam": (0, 2)}
"""State of the sparse optimizer in floats: (for each row, for each weight)."""
DENSE_STATE = {"adam": 2, "adamw": 2, "adagrad": 1, "sgd": 0}
"""State of the dense optimizer in floats for each parameter."""


class Init(NamedTuple):
    """The distribution from which new rows are drawn."""

    kind: Literal["normal", "far_normal"] = "normal"
    """far_normal: a normal distribution without its middle, for factors that are multiplied."""
    std: float = 0.01
    """Standard deviation; small enough that rows of unseen ids change no score (as in AutoInt's code)."""
    mean: float = 0.0

    def __call__(self, weight: Tensor, generator: torch.Generator | None = None) -> None:
        """Fill a tensor in place, with torch's own random numbers unless there is a generator."""
        with torch.no_grad():
            self._fill(weight, generator)

    def _fill(self, weight: Tensor, generator: torch.Generator | None) -> None:
        nn.init.normal_(weight, mean=self.mean, std=self.std, generator=generator)
        if self.kind == "far_normal":
            near = (weight - self.mean).abs() < self.std
            while near.any():
                weight[near] = torch.empty_like(weight[near]).normal_(self.mean, self.std, generator=generator)
                near = (weight - self.mean).abs() < self.std


class PhysicalTable(NamedTuple):
    """A table that TorchRec stores, shards and updates."""

    name: str
    rows: int
    dim: int
    """Width of a row, in floats."""
    init: Init = Init()
    """Distribution of the initial rows."""


class FeatureVocabulary(NamedTuple):
    """A vocabulary whose ids a logical table holds."""

    name: str
    """Name of the field that owns the vocabulary."""
    num_ids: int | None
    """Number of ids 0 .. num_ids - 1, of which 0 is unknown; None for an open vocabulary (any int64 key)."""
    ranks: Tensor | None = None
    """Rank of each id by training frequency, (num_ids,) int64; None if ids are in that order already."""

    @property
    def size(self) -> int:
        """Number of ids of a closed vocabulary."""
        assert self.num_ids is not None, f"{self.name}: open vocabularies are refused before this"
        return self.num_ids


class StageStep(NamedTuple):
    """A training step's position in its stage."""

    step: int
    """Number of steps of the stage that are done, from 1."""
    num_steps: int
    """Most steps that the stage may have."""
    steps_per_epoch: int = 1
    """Number of steps of an epoch."""
    rate: float = 1.0
    """Learning rate of the dense part now, of the one that the training began with."""


Sizes = Sequence[int] | Sequence[float]


class Scheme(nn.Module, ABC):
    """A table of the configuration, or a part of one that is stored separately.

    Args:
        name: Name, unique in the model, which the names of physical tables begin with.
        vocabularies: Vocabularies of the features that it embeds.
        dim: Width of the embeddings, in floats.
        spec: Section of the table in the configuration, with its size parameter set.
    """

    sums_bags: bool = False
    """Whether `combine` commutes with summing, so that the kernel may sum the rows of a bag before it. A scheme whose
    answer depends on its section sets it in its constructor."""
    section: ClassVar[type[TableSection]] = CustomTable
    """The section of its tables, which states what others must know of the scheme: stages, open vocabularies, ..."""
    id_collisions: ClassVar[CollisionCause] = "by_hashing"
    """The cause by which two ids of a vocabulary may have one embedding: none, the chance of a hash, or training."""
    ends_stage_early: ClassVar[bool] = False
    """Whether a stage before the last also ends when early stopping would end it; the next starts at its best epoch."""

    def __init__(self, name: str, vocabularies: Sequence[FeatureVocabulary], dim: int, spec: TableSection) -> None:
        super().__init__()
        self.name = name
        self.vocabularies = tuple(vocabularies)
        self.dim = dim
        self.spec = spec

    # --- size: how a budget becomes the size parameter ------------------------------------------------------------

    @classmethod
    def build(
        cls, name: str, vocabularies: Sequence[FeatureVocabulary], dim: int, spec: TableSection
    ) -> "list[Scheme]":
        """Build the schemes that together store a table.

        By default one stores all of it. A scheme may return one for each feature, or full tables beside it for features
        whose compressed form would not be smaller.
        """
        return [cls(name, vocabularies, dim, spec)]

    @classmethod
    def size_candidates(cls, vocabularies: Sequence[FeatureVocabulary], dim: int, spec: TableSection) -> Sizes:
        """Return the values that the size parameter can take, from the largest table to the smallest.

        A budget is the first of them whose `size_for` keeps to it, found by bisection.
        """
        raise NotImplementedError(f"{cls.__name__} has no size parameter")

    @classmethod
    def size_for(cls, vocabularies: Sequence[FeatureVocabulary], dim: int, spec: TableSection) -> int:
        """Return the size of a table in bytes, which a budget is compared with: that of the serving form."""
        with torch.device("meta"):
            return sum(part.serving_bytes() for part in cls.build("cost", vocabularies, dim, spec))

    # --- lookup ---------------------------------------------------------------------------------------------------

    @abstractmethod
    def tables(self, feature_index: int) -> list[PhysicalTable]:
        """Return the physical table that each of the K lookups of a feature reads; a repeated name is one table."""

    @abstractmethod
    def remap(self, id_V: Tensor, feature_index: int) -> Tensor:
        """Map int64 ids (V,) of a feature to row indices (K, V) of `tables(feature_index)`.

        It is called in the reader's thread and again by the exported graph: TorchScript compiles it.
        """

    def combine(self, rows: list[Tensor], id_V: Tensor, feature_index: int) -> Tensor:  # noqa: ARG002
        """Join the K looked-up rows (V, dim_k) of each id to an embedding (V, D). By default: concatenate.

        `id_V` is empty where bags were summed by the kernel, which happens only if `sums_bags`.
        """
        return rows[0] if len(rows) == 1 else torch.cat(rows, dim=1)

    def width(self, feature_index: int) -> int:
        """Return D, the width of a feature's embedding, as the section states it."""
        return self.spec.embedding_dim(self.vocabularies[feature_index].name, self.dim)

    def lookup_positions(self, id_V: Tensor, feature_index: int) -> Tensor:
        """Return what decides whether ids collide, (K, V) int64: ids with equal columns have one embedding."""
        return self.remap(id_V, feature_index)

    def expected_id_collisions(self, feature_index: int) -> float:
        """Return how many ids of a vocabulary collide in all of their rows, on average over hash functions."""
        log_buckets = sum(math.log(table.rows) for table in self.tables(feature_index))
        return expected_collisions(self.vocabularies[feature_index].size, log_buckets)

    # --- training -------------------------------------------------------------------------------------------------

    def use_optimizer(self, optimizer: SparseOptimizer) -> None:
        """Take the settings of the sparse optimizer, if the scheme updates rows of its own."""

    def lr_buffers(self) -> list[Tensor]:
        """Return the buffers () with the learning rates of the scheme's own rows; the caller changes them in place."""
        return []

    def pop_aux_loss(self) -> Tensor | None:
        """Return the auxiliary loss () of the last forward pass, which is forgotten; None if the scheme has none.

        With several ranks it is this rank's part times their number, by which the sum of their gradients is divided.
        """
        return None

    def gradient_leaves(self) -> list[Tensor]:
        """Return leaves whose gradient the scheme needs from a second pass over the batch; [] for no second pass.

        Called after the step; the passes that follow until `apply_gradients` use these leaves.
        """
        return []

    def apply_gradients(self, gradients: list[Tensor], num_rows: int) -> None:
        """Apply the gradients of the leaves of the second pass.

        Args:
            gradients: one for each leaf, in its shape, summed over ranks.
            num_rows: rows of the batch, over all ranks.
        """

    def after_step(self, step: StageStep, weights: Mapping[str, Tensor]) -> None:
        """Change the weights of the physical tables (name -> (rows, dim)) in place after a step.

        Tables that do not lie whole on this rank are left out. If the scheme needs whole tables, this, `next_stage` and
        `before_validation` are called on the rank that has them and on no other; buffers that they change are sent from
        there to the others after `next_stage` only.
        """

    def before_validation(self, weights: Mapping[str, Tensor]) -> None:
        """Bring the weights to the form in which they would be served."""

    def next_stage(self, weights: Mapping[str, Tensor]) -> None:
        """Begin the next stage of training."""

    # --- serving --------------------------------------------------------------------------------------------------

    def serving(self, weights: Mapping[str, Tensor]) -> nn.Module:
        """Return the exported form: a module that can be scripted, (id_V (V,) int64, feature_index) -> (V, D).

        Rows are kept as `served` returns them, so that an export may store them in fewer bits.

        Args:
            weights: Trained rows of the physical tables, name -> (rows, dim); shared, not copied.
        """
        features = range(len(self.vocabularies))
        own = {table.name: self.served(weights[table.name]) for table in self.physical_tables()}
        return RowReader(self, [[table.name for table in self.tables(i)] for i in features], own)

    def served(self, weight: Tensor) -> nn.Module:
        """Return the module that stores rows (rows, dim) in the precision in which they are served."""
        return make_rows(weight, self.spec.served_precision)

    # --- bytes ----------------------------------------------------------------------------------------------------

    @property
    @torch.jit.unused
    def weight_bytes(self) -> int:
        """Bytes of one weight of a row; the optimizer's state is always of 32-bit floats."""
        return self.spec.weight_bytes

    def physical_tables(self) -> list[PhysicalTable]:
        """Return the physical tables, each once."""
        found = {
            table.name: table for feature_index in range(len(self.vocabularies)) for table in self.tables(feature_index)
        }
        return list(found.values())

    def serving_bytes(self) -> int:
        """Return the bytes of the tensors of the exported form, maps and indices included."""
        num_weights = sum(table.rows * table.dim for table in self.physical_tables())
        return self.spec.serving_weight_bytes * num_weights + tensor_bytes(self)

    def bytes(self, phase: Phase, *, sparse: str, dense: str) -> int:
        """Return the bytes of weights, codes and maps, with the optimizers' state in training and in checkpoints.

        Args:
            phase: Phase of the model's life.
            sparse: Name of the optimizer of the tables.
            dense: Name of the optimizer of the other parameters.
        """
        if phase == "serving":
            return self.serving_bytes()
        by_row, by_weight = ROW_STATE[sparse]
        tables = [(table.rows, table.rows * table.dim) for table in self.physical_tables()]
        rows = sum(num_weights * (self.weight_bytes + 4 * by_weight) + 4 * by_row * num for num, num_weights in tables)
        dense_state = DENSE_STATE[dense] * sum(p.numel() * p.element_size() for p in self.parameters())
        return rows + tensor_bytes(self) + dense_state

    # --- helpers of schemes ---------------------------------------------------------------------------------------

    def table(self, suffix: str, rows: int, dim: int, init: Init | None = None) -> PhysicalTable:
        """Return a physical table named after the scheme."""
        return PhysicalTable(physical_name(self.name, suffix), rows, dim, init or Init())

    @classmethod
    def for_feature(cls, name: str, vocabulary: FeatureVocabulary, dim: int, spec: TableSection) -> Self:
        """Return the scheme of one feature of a table whose features are stored separately."""
        return cls(f"{name}/{vocabulary.name}", [vocabulary], dim, spec)


def bytes_by_phase(schemes: Iterable[Scheme], train: TrainSection) -> dict[Phase, int]:
    """Return the bytes of schemes in each phase, with the optimizers of a training section."""
    sparse, dense = train.sparse_optimizer.name, train.dense_optimizer.name
    phases: tuple[Phase, ...] = get_args(Phase)
    known = list(schemes)
    return {phase: sum(scheme.bytes(phase, sparse=sparse, dense=dense) for scheme in known) for phase in phases}


def physical_name(name: str, suffix: str) -> str:
    """Return the name of a physical table, which contains no dot and is no name of a method such as `items`."""
    return f"{name.replace('.', '/')}_table{suffix}"


def tensor_bytes(module: nn.Module) -> int:
    """Return the bytes of a module's parameters and buffers, each tensor counted once."""
    tensors = {id(tensor): tensor for tensor in (*module.parameters(), *module.buffers())}
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
