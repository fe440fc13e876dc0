"""Nested widths: while training, rows are cut to random prefixes, so that one training serves all widths.

Papers: Kusupati et al., "Matryoshka Representation Learning", NeurIPS 2022; Li et al., "2D Matryoshka Sentence
Embeddings", 2024, which draws the widths at random as this does.

Dimension key: V rows that are read, D width.
"""

from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor

from recsys.config.limits import DIMS
from recsys.embeddings.gates.base import Gate, GateSection, GateTable
from recsys.embeddings.gates.prefixes import RandomPrefixes
from recsys.errors import ConfigError

__all__ = ["Nested", "NestedGate", "doubling"]


class NestedGate(GateSection):
    """Random prefixes while training (Matryoshka, Kusupati et al. 2022)."""

    implementation = "recsys.embeddings.gates.nested:Nested"

    kind: Literal["nested"]
    widths: tuple[Annotated[int, Field(ge=0, le=DIMS[-1])], ...] = ()
    """Widths to draw from; when not given 4, 8, 16, ... up to dim. 0 trains the model without the field too."""


class Nested(Gate):
    """Cuts each row to one of some widths while training, all equally often; evaluates whole rows.

    DIFF: Matryoshka learning sums the losses of all widths on every batch. Here each row of a batch has one width,
    drawn for each table by itself: it costs one training, and tables may end with different widths.
    """

    learns_on = "train"

    def __init__(self, table: GateTable, options: GateSection) -> None:
        super().__init__(table, options)
        assert isinstance(options, NestedGate)
        self.widths = sorted(set(options.widths)) or doubling(table.dim)
        if self.widths[-1] > table.dim:
            raise ConfigError(f"gate nested: widths must be at most dim ({table.dim}), got {self.widths[-1]}")
        self.prefixes = RandomPrefixes(self.widths, table.dim)

    def forward(self, rows: list[Tensor], row_V: Tensor) -> Tensor:
        return rows[0] * self.prefixes(row_V) if self.training else rows[0]


def doubling(dim: int) -> list[int]:
    """Return 4, 8, 16, ... and `dim`.

    >>> doubling(24), doubling(4)
    ([4, 8, 16, 24], [4])
    """
    widths = [DIMS[0]]
    while 2 * widths[-1] < dim:
        widths.append(2 * widths[-1])
    return sorted({*widths, dim})
