"""AutoDim: a mixture of rows of several widths, whose weights are learnt by the loss on validation batches.

Paper: Zhao et al., "AutoDim: Field-aware Embedding Dimension Search in Recommender Systems", WWW 2021
(arXiv 2006.14827), as in Zhang et al., VLDB 2024.

Dimension key: V rows that are read, D width, C candidate widths, d one of them, L blocks, S groups of dimensions.
"""

from collections.abc import Sequence
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from recsys.config.limits import Dim, LearningRate
from recsys.embeddings.gates.base import Gate, GateSection, GateTable
from recsys.embeddings.gates.dnis import normalized
from recsys.embeddings.gates.nested import doubling
from recsys.errors import ConfigError

__all__ = ["AutoDim", "AutoDimGate"]

COLDEST = 0.01
"""Temperature at which annealing ends."""


class AutoDimGate(GateSection):
    """A mixture of rows of several widths (AutoDim, Zhao et al. 2021)."""

    implementation = "recsys.embeddings.gates.autodim:AutoDim"

    kind: Literal["autodim"]
    widths: tuple[Dim, ...] = ()
    """Candidates, the last of which is dim; when not given 4, 8, 16, ... up to dim."""
    lr: LearningRate = 0.01
    """Learning rate of the mixture."""
    anneal: Annotated[float, Field(ge=0, le=1)] = 5e-5
    """Fall of the temperature in each step, from 1 to 0.01."""
    batch_norm: bool = True
    """Normalize each candidate, so that none counts for more by its size."""


class AutoDim(Gate):
    """Each candidate width has rows of its own, mapped to the full width, normalized, and mixed by block of ids.

    While training, the weights of the mixture are drawn: a Gumbel softmax, whose temperature falls with the steps of
    the mixture. `choose` takes one candidate for each block.

    DIFF: blocks are those of one vocabulary, while the paper has one mixture for each field: no blocks give that. The
    widest candidate needs no map. The mixture's gradients are normalized by block, as those of DNIS are: the paper's
    SGD moves it by a thousandth in a search, and mixtures that differ by that are ranked by chance.
    """

    learns_on = "valid"

    logits: Tensor
    num_steps: Tensor
    choice: Tensor
    running_mean: Tensor
    running_var: Tensor

    def __init__(self, table: GateTable, options: GateSection) -> None:
        super().__init__(table, options)
        assert isinstance(options, AutoDimGate)
        self.options = options
        self.widths = sorted(set(options.widths)) or doubling(table.dim)
        if self.widths[-1] != table.dim:
            raise ConfigError(f"gate autodim: the widest of widths must be dim ({table.dim}), got {self.widths[-1]}")
        fixed = torch.Generator().manual_seed(0)  # torch's own numbers are left to the rest of the model
        draws = [torch.randn(width, table.dim, generator=fixed) * width**-0.5 for width in self.widths[:-1]]
        self.maps = nn.ParameterList(draws)
        self.biases = nn.ParameterList(torch.zeros(table.dim) for _ in draws)
        C = len(self.widths)
        self.register_buffer("logits", torch.zeros(table.num_blocks, C))
        self.register_buffer("num_steps", torch.zeros((), dtype=torch.int64))
        self.register_buffer("choice", torch.full((table.num_blocks,), -1))
        self.register_buffer("running_mean", torch.zeros(C, table.dim))
        self.register_buffer("running_var", torch.ones(C, table.dim))

    def row_widths(self) -> list[int]:
        return self.widths

    def forward(self, rows: list[Tensor], row_V: Tensor) -> Tensor:
        weight_VC = self.mixture()[self.block[row_V]]
        parts = [weight_VC[:, c : c + 1] * self.candidate(rows[c], c) for c in range(len(rows))]
        return torch.stack(parts).sum(dim=0)

    def candidate(self, row_Vd: Tensor, c: int) -> Tensor:
        """Return the rows of one width in the full width, (V, D)."""
        mapped_VD = row_Vd @ self.maps[c] + self.biases[c] if c < len(self.maps) else row_Vd
        if not self.options.batch_norm:
            return mapped_VD
        of_batch = self.training and len(row_Vd) > 1
        return functional.batch_norm(mapped_VD, self.running_mean[c], self.running_var[c], training=of_batch)

    def mixture(self) -> Tensor:
        """Return the weight of each candidate, (L, C), whose rows sum to 1; drawn while training."""
        if bool((self.choice >= 0).all()):
            return functional.one_hot(self.choice, len(self.widths)).to(self.logits.dtype)
        logits = torch.log_softmax(self.logits, dim=1)
        if self.training and len(self.widths) > 1:
            logits = logits - torch.empty_like(self.logits).exponential_().log()  # Gumbel noise
        return torch.softmax(logits / self.temperature(), dim=1)

    def temperature(self) -> Tensor:
        """Return the temperature of the mixture: ()."""
        return (1 - self.options.anneal * self.num_steps).clamp(min=COLDEST)

    def leaves(self) -> list[Tensor]:
        return [self.logits]

    @torch.no_grad()
    def learn(self, gradients: Sequence[Tensor]) -> None:
        (gradient,) = gradients
        self.logits.sub_(self.options.lr * normalized(gradient))
        self.num_steps.add_(1)

    def cut_widths(self) -> list[int]:
        return [0, *self.widths]

    def choose(self, column_mask: Tensor) -> Tensor:
        """Take for each block the narrowest candidate that has as many columns as are kept."""
        count_L = column_mask.sum(1)
        width_C = torch.tensor(self.widths, device=count_L.device)
        self.choice.copy_(torch.searchsorted(width_C, count_L.to(width_C.dtype)))
        return (count_L > 0).to(column_mask.dtype).unsqueeze(1).expand_as(column_mask)

    @torch.no_grad()
    def importance(self, weights: Sequence[Tensor]) -> Tensor:  # noqa: ARG002
        """Return the weight of the candidates that reach each group, (L, S), which falls from group to group."""
        reaches_CS = torch.tensor(self.widths).unsqueeze(1) > torch.arange(0, self.dim, self.dim // self.num_groups)
        return torch.softmax(self.logits, dim=1) @ reaches_CS.to(self.logits)
