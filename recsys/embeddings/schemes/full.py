"""One row for each id. The baseline of all compression: no collisions."""

from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor

from recsys.config.schemes import TableSection
from recsys.config.schemes.full import FullTable
from recsys.embeddings.scheme import CollisionCause, FeatureVocabulary, PhysicalTable, Scheme

__all__ = ["Full"]


class Full(Scheme):
    """A row for each id of each vocabulary; several vocabularies lie one behind the other.

    Example:
        >>> import torch
        >>> from recsys.config import FullTable
        >>> spec = FullTable(features=("user", "item"))
        >>> both = Full("t", [FeatureVocabulary("user", 10), FeatureVocabulary("item", 5)], 4, spec)
        >>> both.remap(torch.tensor([0, 4]), 1).tolist()
        [[10, 14]]
    """

    section: ClassVar[type[TableSection]] = FullTable
    sums_bags = True
    id_collisions: ClassVar[CollisionCause] = "never"

    def __init__(self, name: str, vocabularies: Sequence[FeatureVocabulary], dim: int, spec: TableSection) -> None:
        super().__init__(name, vocabularies, dim, spec)
        self.first_rows = [0]
        for vocabulary in vocabularies:
            self.first_rows.append(self.first_rows[-1] + vocabulary.size)

    def tables(self, feature_index: int) -> list[PhysicalTable]:  # noqa: ARG002
        return [self.table("", self.first_rows[-1], self.dim)]

    def remap(self, id_V: Tensor, feature_index: int) -> Tensor:
        return (id_V + self.first_rows[feature_index]).unsqueeze(0)
