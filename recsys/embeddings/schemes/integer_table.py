"""Rows that a scheme stores itself, as integers, and updates in the backward pass.

    forward:  codes of the rows a batch reads --dequantize--> vectors
    backward: gradients of all uses of a row --sum--> optimizer --> new value --round at random--> codes

The update is that of TorchRec's fused tables: a row that several fields read, or one field several times, is changed
once, by the sum of its gradients, when the backward pass is over. Work and memory of a step are those of its ids.

Every rank has all rows, and makes the same step for the rows of all ranks: gradients are gathered, and the rounding is
drawn from numbers that are the same everywhere.

Dimension key: V ids of one lookup, or of all lookups of a step, N rows of the table, U rows that a step has read, each
once, D width of a row.
"""

from abc import abstractmethod
from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from recsys.config import SparseOptimizer
from recsys.config.schemes import TableSection
from recsys.embeddings.hashing import mix64
from recsys.embeddings.scheme import FeatureVocabulary, Init, Phase, PhysicalTable, Scheme, tensor_bytes
from recsys.embeddings.schemes.row_optimizer import RowOptimizer
from recsys.ranks import all_gather_rows, current_world

__all__ = ["IntegerTable", "round_at_random", "sum_by_row"]

CODES = {8: torch.int8, 16: torch.int16}
CHUNK = 2**18
"""Rows that are drawn at a time, so that the whole table never exists in floats."""


class IntegerTable(Scheme):
    """Integer codes of the rows of all vocabularies, laid end to end; subclasses say what a code is worth.

    Args:
        name: unique in the model.
        vocabularies: the vocabularies it holds, in order.
        dim: width of the embedding.
        spec: the table's section of the configuration.
        bits: of one code.
        scale: value of one step of the codes that are drawn at first.
    """

    id_collisions = "never"
    codes: Tensor
    draws: Tensor
    """(2,) int64: a seed, and how often rows have been rounded at random; no generator of a rank's own."""

    def __init__(
        self,
        name: str,
        vocabularies: Sequence[FeatureVocabulary],
        dim: int,
        spec: TableSection,
        *,
        bits: int,
        scale: float,
    ) -> None:
        super().__init__(name, vocabularies, dim, spec)
        self.first_rows = [0]
        for vocabulary in vocabularies:
            self.first_rows.append(self.first_rows[-1] + vocabulary.size)
        self.num_rows = self.first_rows[-1]
        self.register_buffer("codes", torch.empty(self.num_rows, dim, dtype=CODES[bits]))
        self.register_buffer("draws", torch.zeros(2, dtype=torch.int64))
        if not self.codes.is_meta:
            for first in range(0, self.num_rows, CHUNK):
                codes = self.codes[first : first + CHUNK]
                values = torch.empty(codes.shape)
                Init()(values)
                codes.copy_(round_at_random(values / scale, codes.dtype))
            self.draws[0].random_()
        self.optimizer: RowOptimizer | None = None
        self._gradients: list[tuple[Tensor, Tensor]] = []

    def tables(self, feature_index: int) -> list[PhysicalTable]:  # noqa: ARG002
        return []

    def remap(self, id_V: Tensor, feature_index: int) -> Tensor:  # noqa: ARG002
        return id_V.new_empty(0, len(id_V))

    def combine(self, rows: list[Tensor], id_V: Tensor, feature_index: int) -> Tensor:  # noqa: ARG002
        row_V = id_V + self.first_rows[feature_index]
        value_VD = self.read(row_V)
        if torch.is_grad_enabled():
            self._gradients.clear()  # what a backward pass that was broken off has left
            value_VD.requires_grad_()
            value_VD.register_hook(partial(self._take_gradient, row_V))  # type: ignore[no-untyped-call]
        return value_VD

    @abstractmethod
    def read(self, row_V: Tensor) -> Tensor:
        """Dequantize some rows: (V, D) float32."""

    @abstractmethod
    def move(self, row_U: Tensor, change_UD: Tensor) -> None:
        """Subtract the optimizer's step from some rows."""

    def _take_gradient(self, row_V: Tensor, gradient_VD: Tensor) -> None:
        if not self._gradients:
            # Runs when the whole backward pass is over: until then other lookups may give gradients of the same rows.
            torch.autograd.Variable._execution_engine.queue_callback(self._update)
        self._gradients.append((row_V, gradient_VD))

    @torch.no_grad()
    def _update(self) -> None:
        assert self.optimizer is not None, f"{self.name}: use_optimizer comes before the first backward pass"
        rows, gradients = zip(*self._gradients, strict=True)
        self._gradients.clear()
        row_U, gradient_UD = sum_over_all(*sum_by_row(torch.cat(rows), torch.cat(gradients)))
        self.move(row_U, self.optimizer(row_U, gradient_UD))

    def rounded(self, code_UD: Tensor) -> Tensor:
        """Round codes at random, as every other rank and a resumed run do."""
        seed = int(mix64(self.draws.sum()))
        self.draws[1] += 1
        return round_at_random(code_UD, self.codes.dtype, torch.Generator(code_UD.device).manual_seed(seed))

    def use_optimizer(self, optimizer: SparseOptimizer) -> None:
        self.optimizer = RowOptimizer(optimizer, num_rows=self.num_rows, dim=self.dim)

    def lr_buffers(self) -> list[Tensor]:
        return [module.rate for module in self.children() if isinstance(module, RowOptimizer)]

    def serving_bytes(self) -> int:
        return self.codes.numel() * self.codes.element_size()

    def bytes(self, phase: Phase, *, sparse: str, dense: str) -> int:  # noqa: ARG002
        if phase == "serving":
            return self.serving_bytes()
        config = SparseOptimizer.model_validate({"name": sparse})
        with torch.device("meta"):
            state = sum(tensor_bytes(RowOptimizer(config, num_rows=self.num_rows, dim=d)) for d in self.updated_dims())
        return self.serving_bytes() + state + self.draws.nbytes

    def updated_dims(self) -> list[int]:
        """Return the widths of the row-shaped tensors that an optimizer updates."""
        return [self.dim]


def round_at_random(value_UD: Tensor, dtype: torch.dtype, generator: torch.Generator | None = None) -> Tensor:
    """Round up with the probability of the fraction, else down, so that the mean is the value; then clamp to the type.

    It is clamp(floor(value + u)) with u uniform in [0, 1), without the rounding error of that sum.

    Example:
        >>> round_at_random(torch.tensor([3.0, 400.0, -400.0]), torch.int8).tolist()
        [3, 127, -128]
    """
    floor_UD = value_UD.floor()
    drawn_UD = torch.rand(value_UD.shape, generator=generator, dtype=value_UD.dtype, device=value_UD.device)
    up_UD = drawn_UD < value_UD - floor_UD
    limits = torch.iinfo(dtype)
    return floor_UD.add_(up_UD).clamp_(limits.min, limits.max).to(dtype)


def sum_by_row(row_V: Tensor, gradient_VD: Tensor) -> tuple[Tensor, Tensor]:
    """Return the rows, ascending and each once (U,), and the sums of their gradients (U, D).

    Example:
        >>> sum_by_row(torch.tensor([5, 2, 5]), torch.tensor([[1.0], [2.0], [4.0]]))
        (tensor([2, 5]), tensor([[2.],
                [5.]]))
    """
    sorted_V, order_V = row_V.sort(stable=True)
    row_U, uses_U = torch.unique_consecutive(sorted_V, return_counts=True)
    # A bag for each row: six times as fast as index_add_ by the inverse of torch.unique, and the same on every run.
    sum_UD = functional.embedding_bag(order_V, gradient_VD, uses_U.cumsum(0) - uses_U, mode="sum")
    return row_U, sum_UD


def sum_over_all(row_U: Tensor, gradient_UD: Tensor) -> tuple[Tensor, Tensor]:
    """Return the rows that any rank has a gradient of, and the gradients: sums over ranks divided by their number."""
    size = current_world().size
    if size == 1:
        return row_U, gradient_UD
    row_U, gradient_UD = sum_by_row(torch.cat(all_gather_rows(row_U)), torch.cat(all_gather_rows(gradient_UD)))
    return row_U, gradient_UD / size
