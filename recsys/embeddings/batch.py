"""The batch that the model is fed, or a rank's part of it, in which ids are already mapped to rows of physical tables.

Dimension key: B rows, N number fields, T tasks, V ids of one field in the batch, K physical lookups.
"""

from dataclasses import dataclass, field, fields

import torch
from torch import Tensor
from torchrec.sparse.jagged_tensor import KeyedJaggedTensor
from torchrec.streamable import Pipelineable

from recsys.ranks import StepSignals

__all__ = ["Batch"]


@dataclass(slots=True, kw_only=True)
class Batch(Pipelineable):  # type: ignore[misc]
    """Ids as tensors, and the same ids as lookups.

    A field whose ids are summed by the kernel, or that has one id a row, has B bags in `pooled`. Tables that are read
    by a jagged field (a vector for each id) are in `unpooled`, where the bags of all fields of a table lie end to end.
    Both are padded with empty bags to the number of the rank with the largest part, since TorchRec needs the same
    number on every rank.
    """

    ids: dict[str, Tensor]
    """Ids of each field, (V,) int64; (B,) for single-valued fields."""
    lengths: dict[str, Tensor]
    """Number of ids in each row, (B,), for multi-valued fields."""
    pooled: KeyedJaggedTensor | None
    """Rows that are looked up and summed: a key for each field and lookup."""
    unpooled: KeyedJaggedTensor | None
    """Rows that are looked up one by one, as bags of one id: a key for each table."""
    penalties: dict[str, Tensor]
    """1 / (uses of the row in this batch * uses in the training data), (K, V); empty without regularization of rows."""
    numbers: Tensor
    """Number features, (B, N) float32."""
    labels: Tensor
    """Labels, (B, T) float32."""
    weights: Tensor | None
    """Weights of the rows, (B,) float32."""
    groups: Tensor | None
    """Group keys of the rows, (B,) int64."""
    num_rows: int
    """B."""
    batch_rows: int
    """Rows of the whole batch, over all ranks."""
    targets: Tensor | None = None
    """Targets that the rows learn in place of labels, (B, T) float32."""
    signals: StepSignals = field(default_factory=StepSignals)
    """Actions of all ranks after this batch."""

    def to(self, device: torch.device, non_blocking: bool = False) -> "Batch":
        """Return the batch on `device`."""

        def move(value: object) -> object:
            if isinstance(value, dict):
                return {key: move(item) for key, item in value.items()}
            if isinstance(value, (Tensor, KeyedJaggedTensor)):
                return value.to(device, non_blocking=non_blocking)
            return value

        return Batch(**{f.name: move(getattr(self, f.name)) for f in fields(self)})  # type: ignore[arg-type]

    def record_stream(self, stream: torch.Stream) -> None:
        """Keep the memory until `stream` has used it; TorchRec's pipeline copies batches on a stream of its own."""
        for part in fields(self):
            value = getattr(self, part.name)
            for tensor in value.values() if isinstance(value, dict) else [value]:
                if isinstance(tensor, (Tensor, KeyedJaggedTensor)):
                    tensor.record_stream(stream)
