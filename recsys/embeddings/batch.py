"""What the model is fed: one batch of rows, or a rank's part of it, with ids already mapped to rows of physical tables.

Dimension key: B rows, N number fields, T tasks, V ids of one field in the batch.
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

    A field read as a *bag* or as one id a row has B bags in `pooled`. Tables that a jagged field reads (one vector
    for each id) are in `slots`, where the bags of all fields of a table lie end to end. Both are padded with empty bags
    to as many as the rank with the largest part has: TorchRec wants the same number on every rank.
    """

    ids: dict[str, Tensor]
    """Logical ids of each field, (V,) int64; (B,) for single-valued fields."""
    lengths: dict[str, Tensor]
    """Ids in each row, (B,), of the multi-valued fields."""
    pooled: KeyedJaggedTensor | None
    slots: KeyedJaggedTensor | None
    penalties: dict[str, Tensor]
    """1 / (uses of the physical row in this batch * uses in the training data), (K, V); empty if not regularised."""
    numbers: Tensor
    """(B, N) float32."""
    labels: Tensor
    """(B, T) float32."""
    weights: Tensor | None
    """(B,) float32."""
    groups: Tensor | None
    """(B,) int64."""
    num_rows: int
    batch_rows: int
    """Rows of the whole batch, over all ranks."""
    total_weight: float
    """Sum of the weights of these; their number where rows have no weights."""
    signals: StepSignals = field(default_factory=StepSignals)
    """What ranks do after this batch, if there are several."""

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
        """Keep the memory until the stream is done with it: TorchRec's pipeline copies batches beside the training."""
        for part in fields(self):
            value = getattr(self, part.name)
            for held in value.values() if isinstance(value, dict) else [value]:
                if isinstance(held, (Tensor, KeyedJaggedTensor)):
                    held.record_stream(stream)
