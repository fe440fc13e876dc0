"""Factorisation machine.

Dimension key: B rows of a batch, M embeddings of a row (fields and numbers), D their width, T tasks.
"""

import torch
from torch import Tensor, nn

from recsys.config.towers.fm import FmModel
from recsys.errors import ConfigError
from recsys.towers.base import Behaviour, Tower, TowerInputs
from recsys.towers.layers import FieldMatrix
from recsys.towers.ranking import Ranking

__all__ = ["Fm"]


class Fm(Tower):
    """Linear terms plus the inner products of all pairs of embeddings of a row.

    Paper: Rendle, "Factorization Machines", ICDM 2010, equation 1, and the O(M D) identity of lemma 3.1.
    The first component of an embedding is the linear weight w, the others are the factors v: a table of width D gives
    D - 1 factors. Numbers have such a row too, scaled by the number. With T tasks, task t owns the components
    t, t + T, t + 2T, ... of every row, so that the tasks share nothing.

    Raises:
        ConfigError: A row has no component left for the factors.
    """

    section = FmModel

    def __init__(self, inputs: TowerInputs, config: FmModel) -> None:
        super().__init__()
        dim = inputs.dims[0] if inputs.dims else config.dim
        if dim < 2 * inputs.num_tasks:
            raise ConfigError(f"model.dim: tower fm needs at least 2 for each of {inputs.num_tasks} labels, got {dim}")
        self.num_tasks = inputs.num_tasks
        self.rows = FieldMatrix(len(inputs.dims), inputs.num_numbers, dim)
        self.bias = nn.Parameter(torch.zeros(inputs.num_tasks))

    def forward(self, fields: Tensor, numbers: Tensor, behaviours: list[Behaviour]) -> Tensor:
        del behaviours
        rows_BMD = self.rows(fields, numbers)
        logits = [machine(rows_BMD[:, :, task :: self.num_tasks]) for task in range(self.num_tasks)]
        return self.bias + torch.stack(logits, dim=1)

    def rank(self, ranking: Ranking) -> Tensor:
        """Return the logits; the sums over the users' embeddings are worked out once a user."""
        rows = self.rows.split(ranking.fields, ranking.numbers)
        of_user_GMD, of_candidate_BMD = self.rows.matrix(rows.of_user), self.rows.matrix(rows.of_candidate)
        logits: list[Tensor] = []
        for task in range(self.num_tasks):
            of_user = sums(of_user_GMD[:, :, task :: self.num_tasks])
            of_candidate = sums(of_candidate_BMD[:, :, task :: self.num_tasks])
            both = [a.index_select(0, ranking.users) + b for a, b in zip(of_user, of_candidate)]  # noqa: B905
            logits.append(total(both))
        return self.bias + torch.stack(logits, dim=1)


def machine(rows_BMD: Tensor) -> Tensor:
    """Sum the weights of the rows [w | v] and the inner products of the factors of all pairs, (B,).

    Example:
        >>> machine(torch.tensor([[[10.0, 1.0, 2.0], [20.0, 3.0, 4.0]]])).tolist()  # 10 + 20 + 1 * 3 + 2 * 4
        [41.0]
    """
    return total(sums(rows_BMD))


def sums(rows_BMD: Tensor) -> list[Tensor]:
    """Return the sums over the rows of a matrix: of their weights (B,), factors (B, D - 1) and squares (B, D - 1)."""
    factors_BMD = rows_BMD[:, :, 1:]
    return [rows_BMD[:, :, 0].sum(1), factors_BMD.sum(1), factors_BMD.square().sum(1)]


def total(sums: list[Tensor]) -> Tensor:
    """Return the weights and the inner products of all pairs of factors, (B,), from the sums over them."""
    twice_pairs_BD = sums[1].square() - sums[2]
    return sums[0] + 0.5 * twice_pairs_BD.sum(1)
