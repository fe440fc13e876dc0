"""One row for each id. The baseline of all compression: no collisions."""

from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor

from recsys.config.tables import Table
from recsys.embeddings.scheme import Member, Merging, PhysicalTable, Scheme

__all__ = ["Full"]


class Full(Scheme):
    """A row for each id of each member; several members lie one behind the other.

    Example:
        >>> import torch
        >>> from recsys.config import FullTable
        >>> both = Full("t", [Member("user", 10), Member("item", 5)], 4, FullTable(features=("user", "item")))
        >>> both.remap(torch.tensor([0, 4]), 1).tolist()
        [[10, 14]]
    """

    sums_bags = True
    ids_merge: ClassVar[Merging] = "never"

    def __init__(self, name: str, members: Sequence[Member], dim: int, spec: Table) -> None:
        super().__init__(name, members, dim, spec)
        self.first_rows = [0]
        for member in members:
            self.first_rows.append(self.first_rows[-1] + member.size)

    def tables(self, member: int) -> list[PhysicalTable]:  # noqa: ARG002
        return [self.table("", self.first_rows[-1], self.dim)]

    def remap(self, id_V: Tensor, member: int) -> Tensor:
        return (id_V + self.first_rows[member]).unsqueeze(0)
