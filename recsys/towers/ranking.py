"""Users with several candidates each: what the rows of a user have in common stands once (all of it scripts).

Dimension key: G users, B candidates of all users, one user after another, C columns of a matrix of which A are the
users', E width of an entry of a history, V entries of all histories, W outputs of a layer.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from recsys.data.model_inputs import repeated_entries
from recsys.towers.behaviour import Behaviour

__all__ = ["Ranking", "SplitColumns", "expand", "of_candidates", "of_users", "side_by_side", "split_linear", "whole"]


class SplitColumns(NamedTuple):
    """A matrix (B, C), some of whose columns are equal for all candidates of a user."""

    of_user: Tensor
    """The users' columns, (G, A)."""
    of_candidate: Tensor
    """The other columns, (B, C - A)."""
    user_columns: Tensor
    """Place in the matrix of each of the users' columns, (A,) int64."""
    candidate_columns: Tensor
    """Place in the matrix of each of the other columns, (C - A,) int64."""


class Ranking(NamedTuple):
    """A batch in which users stand once, and their candidates one user after another."""

    fields: SplitColumns
    """Fields side by side, as a tower's `forward` takes them."""
    numbers: SplitColumns
    behaviours: list[Behaviour]
    """Target (B, Q) of the candidates; history (V, E) and lengths (G,) of the users."""
    candidates: Tensor
    """Number of candidates of each user, (G,) int64; 0 is allowed."""
    users: Tensor
    """User of each candidate, (B,) int64: `repeat_interleave(candidates)`."""


def whole(columns: SplitColumns, user_B: Tensor) -> Tensor:
    """Return the matrix with the users' columns repeated for each candidate, (B, C).

    Example:
        >>> of_user, of_candidate = torch.tensor([[7], [8]]), torch.tensor([[1], [2], [3]])
        >>> columns = SplitColumns(of_user, of_candidate, torch.tensor([1]), torch.tensor([0]))
        >>> whole(columns, torch.tensor([0, 0, 1])).tolist()
        [[1, 7], [2, 7], [3, 8]]
    """
    parts_BC = torch.cat([columns.of_user.index_select(0, user_B), columns.of_candidate], dim=1)
    return parts_BC.index_select(1, torch.argsort(torch.cat([columns.user_columns, columns.candidate_columns])))


def expand(ranking: Ranking) -> tuple[Tensor, Tensor, list[Behaviour]]:
    """Return plain rows, one for each candidate: the arguments of a tower's `forward`."""
    behaviours: list[Behaviour] = []
    for behaviour in ranking.behaviours:
        length_B = behaviour.lengths.index_select(0, ranking.users)
        entry_V = repeated_entries(behaviour.lengths, ranking.users, length_B)
        behaviours.append(Behaviour(behaviour.target, behaviour.history.index_select(0, entry_V), length_B))
    return whole(ranking.fields, ranking.users), whole(ranking.numbers, ranking.users), behaviours


def of_users(rows_GA: Tensor, num_candidates: int) -> SplitColumns:
    """Return a matrix all of whose columns are the users'."""
    columns = torch.arange(rows_GA.shape[1], device=rows_GA.device)
    return SplitColumns(rows_GA, rows_GA.new_zeros(num_candidates, 0), columns, columns[:0])


def of_candidates(rows_BC: Tensor, num_users: int) -> SplitColumns:
    """Return a matrix all of whose columns are the candidates'."""
    columns = torch.arange(rows_BC.shape[1], device=rows_BC.device)
    return SplitColumns(rows_BC.new_zeros(num_users, 0), rows_BC, columns[:0], columns)


def side_by_side(parts: list[SplitColumns]) -> SplitColumns:
    """Return the matrices of the same users and candidates as one, the columns of the first before the others."""
    user_columns: list[Tensor] = []
    candidate_columns: list[Tensor] = []
    width = 0
    for part in parts:
        user_columns.append(part.user_columns + width)
        candidate_columns.append(part.candidate_columns + width)
        width += part.user_columns.numel() + part.candidate_columns.numel()
    return SplitColumns(
        torch.cat([part.of_user for part in parts], dim=1),
        torch.cat([part.of_candidate for part in parts], dim=1),
        torch.cat(user_columns),
        torch.cat(candidate_columns),
    )


def split_linear(columns: SplitColumns, user_B: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Return the product of the matrix with a weight (W, C), plus a bias (W,): (B, W).

    The users' part of the product is worked out once a user.
    """
    of_user_GW = functional.linear(columns.of_user, weight.index_select(1, columns.user_columns), bias)
    of_candidate_BW = functional.linear(columns.of_candidate, weight.index_select(1, columns.candidate_columns))
    return of_candidate_BW + of_user_GW.index_select(0, user_B)
