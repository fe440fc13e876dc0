"""The inputs and outputs of a tower: the one contract all towers keep.

Dimension key: B rows of a batch, C floats of all fields of a row, N numbers, T tasks, E width of a history's entries,
V entries of all histories of a batch, laid end to end.
"""

from abc import ABC, abstractmethod
from typing import ClassVar, NamedTuple

from torch import Tensor, nn

from recsys.config.towers import CustomModel, TowerSection
from recsys.towers.behaviour import Behaviour
from recsys.towers.ranking import Ranking, expand

__all__ = ["Behaviour", "BehaviourInputs", "Tower", "TowerInputs"]


class BehaviourInputs(NamedTuple):
    """The facts about one behaviour that a tower needs when it is built."""

    target_fields: list[int]
    """Fields that describe the candidate, as indices into `TowerInputs.dims`."""
    dim: int
    """Width E of one entry: the widths of what the candidate has, too, and of what only entries have."""
    target_dim: int
    """Width of the candidate, at most E: the sum of the target fields' dims."""


class TowerInputs(NamedTuple):
    """Everything about the data that a tower must know when it is built."""

    dims: list[int]
    """Width of each field, in the order in which `fields` holds them."""
    num_numbers: int
    behaviours: list[BehaviourInputs]
    """Empty for towers that do not use them."""
    num_tasks: int


class Tower(nn.Module, ABC):
    """Turns the embeddings of a row into one logit for each task.

    A subclass is built as `Tower(inputs: TowerInputs, config)`, where `config` is the `model` section of the YAML file.
    It must survive `torch.jit.script`, for export scripts it, and in eval mode a row's logits must not depend on the
    other rows of its batch.
    """

    section: ClassVar[type[TowerSection]] = CustomModel
    """The section that configures it, which states what others must know of the tower: histories, widths, ..."""

    @abstractmethod
    def forward(self, fields: Tensor, numbers: Tensor, behaviours: list[Behaviour]) -> Tensor:
        """Return the logits.

        Shape:
            fields: (B, C), the fields side by side, C = sum(dims); C may be 0.
            numbers: (B, N); N may be 0.
            behaviours: one for each of `TowerInputs.behaviours`.
            output: (B, T).
        """

    def rank(self, ranking: Ranking) -> Tensor:
        """Return the logits of users with several candidates each, which are those of `forward` for all the rows.

        By default the users' part is repeated for each candidate. A tower overrides it to work out once a user what
        does not depend on the candidate. It is called in eval mode only.

        Shape:
            output: (B, T), B candidates.
        """
        fields, numbers, behaviours = expand(ranking)
        logits_BT: Tensor = self.forward(fields, numbers, behaviours)
        return logits_BT
