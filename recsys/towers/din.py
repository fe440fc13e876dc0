"""DIN: a history is pooled with weights that depend on the candidate.

Dimension key: B rows of a batch, V entries of all histories of a batch laid end to end, E width of an entry, Q width of
the part of it that the candidate has, too, U width of the first hidden layer of the activation unit, T tasks.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from recsys.config.towers import Activation
from recsys.config.towers.din import DinModel
from recsys.towers.base import Behaviour, Tower, TowerInputs
from recsys.towers.inputs import pool
from recsys.towers.layers import (
    Mlp,
    activation_layer,
    init_linear,
    mlp_of,
    segment_expand,
    segment_softmax,
    segment_sum,
)
from recsys.towers.ranking import Ranking, expand, of_candidates, of_users, side_by_side

__all__ = ["Din", "Interest"]

FEW_CANDIDATES = 2
"""Candidates a user up to which the histories are repeated for each: a step of `Interest.rank` costs as much."""
NUM_OCTAVES = 20
"""Octaves of positions that have embeddings of their own: up to 2^20 entries, the longest history there can be."""
PAIRS = 1024
"""Pairs of a candidate and an entry that are worked on at once, so that they stay in the processor's cache."""


class Din(Tower):
    """Pools each history by what the candidate makes of it, and feeds fields, numbers and interests to an MLP.

    Paper: Zhou et al., "Deep Interest Network for Click-Through Rate Prediction", KDD 2018, sections 4.3 and 5.3.
    DIFF: as in the public code, the MLP also sees interest * candidate; its batch norm and dense layer after the
    pooling are left out.
    DIFF: with `pooled_history` the MLP also sees the mean of each history, which the paper's does not: what a user
    likes whatever the candidate, at one scale however long the history.
    DIFF: with `position_dim` entries have an embedding of their position, which the paper leaves open: the most recent
    items say most of what a user wants now.
    DIFF: entries may have what the candidate does not, such as the rating of an earlier item: the weights depend on it
    and it is pooled, but it is in no difference and no product with the candidate.
    """

    section = DinModel

    def __init__(self, inputs: TowerInputs, config: DinModel) -> None:
        super().__init__()
        position_dim = config.position_dim or 0
        self.interests = nn.ModuleList(
            Interest(
                behaviour.dim,
                config.attention,
                target_dim=behaviour.target_dim,
                position_dim=position_dim,
                activation=config.attention_activation,
                softmax=config.attention_softmax,
            )
            for behaviour in inputs.behaviours
        )
        self.few_candidates = FEW_CANDIDATES  # TorchScript knows no globals
        self.has_means = config.pooled_history == "mean"
        num_vectors = 2 if self.has_means else 1
        histories = sum(
            num_vectors * (behaviour.dim + position_dim) + behaviour.target_dim for behaviour in inputs.behaviours
        )
        num_inputs = sum(inputs.dims) + inputs.num_numbers + histories
        self.mlp = mlp_of(config, num_inputs=num_inputs, num_outputs=inputs.num_tasks)

    def forward(self, fields: Tensor, numbers: Tensor, behaviours: list[Behaviour]) -> Tensor:
        parts = [fields, numbers]
        for i, interest in enumerate(self.interests):
            behaviour = interest.placed(behaviours[i])  # type: ignore[operator]
            interest_BE = interest(behaviour)
            parts.append(interest_BE)
            parts.append(interest.comparable(interest_BE) * behaviour.target)  # type: ignore[operator]
            if self.has_means:
                parts.append(pool(behaviour.history, behaviour.lengths, "mean", False))
        logits_BT: Tensor = self.mlp(torch.cat(parts, dim=1))
        return logits_BT

    def rank(self, ranking: Ranking) -> Tensor:
        """Return the logits; a history's part of its activation unit and of the MLP is worked out once a user."""
        num_users, num_candidates = ranking.candidates.shape[0], ranking.users.shape[0]
        if num_candidates <= self.few_candidates * num_users:
            fields, numbers, behaviours = expand(ranking)
            expanded_BT: Tensor = self.forward(fields, numbers, behaviours)
            return expanded_BT
        parts = [ranking.fields, ranking.numbers]
        for i, interest in enumerate(self.interests):
            behaviour = interest.placed(ranking.behaviours[i])  # type: ignore[operator]
            interest_BE = interest.rank(behaviour, ranking.candidates)  # type: ignore[operator]
            parts.append(of_candidates(interest_BE, num_users))
            product_BQ = interest.comparable(interest_BE) * behaviour.target  # type: ignore[operator]
            parts.append(of_candidates(product_BQ, num_users))
            if self.has_means:
                parts.append(of_users(pool(behaviour.history, behaviour.lengths, "mean", False), num_candidates))
        logits_BT: Tensor = self.mlp.rank(side_by_side(parts), ranking.users)
        return logits_BT


class Positions(nn.Module):
    """An embedding of how many entries of its history came after an entry: 0, 1, 2, 3, 4 to 5, 6 to 7, 8 to 11, ...

    Paper: none; positions counted from the last entry are common in models of sequences. Ranges grow with the distance,
    so that the number of embeddings does not depend on how long histories are. Drawn from N(0, 0.01).
    """

    starts: Tensor

    def __init__(self, dim: int) -> None:
        super().__init__()
        starts = [1, *(start for power in range(1, NUM_OCTAVES) for start in (2**power, 3 * 2 ** (power - 1)))]
        self.register_buffer("starts", torch.tensor(starts), persistent=False)
        self.weight = nn.Parameter(torch.empty(len(starts) + 1, dim))
        nn.init.normal_(self.weight, std=0.01)

    def forward(self, behaviour: Behaviour) -> Behaviour:
        count_V = torch.cumsum(torch.ones_like(behaviour.history[:, 0], dtype=torch.int64), 0)
        end_B = torch.cumsum(behaviour.lengths, 0)
        num_later_V = segment_expand(end_B, behaviour.lengths, behaviour.history.shape[0]) - count_V
        vectors_VP = functional.embedding(torch.bucketize(num_later_V, self.starts, right=True), self.weight)
        history_VE = torch.cat([behaviour.history, vectors_VP], dim=1)
        return Behaviour(behaviour.target, history_VE, behaviour.lengths)


class Interest(nn.Module):
    """Local activation: sum_j a(e_j, q) e_j over the entries e_j of a history, for the candidate q.

    Paper: DIN, section 4.3; a(k, q) is an MLP on [q, k, q - k, q * k]. As in the paper the weights need not add up to
    1, unless `softmax`.
    DIFF: with `softmax` the public code divides the scores by the root of E; here the last layer learns its scale.
    DIFF: of entries that are wider than the candidate, difference and product are of the part that both have.

    Shape:
        output: (B, E); an empty history gives zeros.
    """

    widths: list[int]

    def __init__(
        self,
        dim: int,
        hidden: tuple[int, ...],
        *,
        target_dim: int,
        activation: Activation,
        softmax: bool,
        position_dim: int = 0,
    ) -> None:
        super().__init__()
        self.positions = Positions(position_dim) if position_dim else None
        dim += position_dim
        self.widths = [target_dim, dim, target_dim, target_dim]  # of q, k, q - k and q * k
        self.target_dim, self.num_extra = target_dim, dim - target_dim
        self.softmax = softmax
        self.num_pairs = PAIRS
        width = hidden[0] if hidden else 1
        self.first = nn.Linear(sum(self.widths), width)
        init_linear(self.first, before=activation if hidden else None)
        self.rest: nn.Module = nn.Identity()
        if hidden:
            rest = Mlp(width, hidden[1:], num_outputs=1, activation=activation)
            self.rest = nn.Sequential(activation_layer(activation, width), rest)

    def placed(self, behaviour: Behaviour) -> Behaviour:
        """Return the behaviour with an embedding of its position beside each entry, if there are such embeddings."""
        return behaviour if self.positions is None else self.positions(behaviour)

    def forward(self, behaviour: Behaviour) -> Tensor:
        weighted_VE = self.weights(behaviour).unsqueeze(1) * behaviour.history
        return segment_sum(weighted_VE, behaviour.lengths)

    def weights(self, behaviour: Behaviour) -> Tensor:
        """Return the weight of every entry, (V,); without `softmax` it can be negative."""
        scores_V: Tensor = self.rest(self.first_layer(behaviour)).squeeze(1)
        if self.softmax:
            scores_V = segment_softmax(scores_V, behaviour.lengths)
        return scores_V

    def first_layer(self, behaviour: Behaviour) -> Tensor:
        """Return W [q, k, q - k, q * k] + b, (V, U), without building the (V, E + 3 Q) input.

        It equals (Wa + Wc) q + (Wb - Wc) k + Wd (q * k) + b, of which the first term is worked out once a row.
        """
        num_entries = behaviour.history.shape[0]
        of_target, of_entry, of_product = self.factors()
        target_BU = functional.linear(behaviour.target, of_target, self.first.bias)
        target_VQ = segment_expand(behaviour.target, behaviour.lengths, num_entries)
        product_VQ = target_VQ * self.comparable(behaviour.history)
        entry_VU = functional.linear(
            torch.cat([behaviour.history, product_VQ], dim=1), torch.cat([of_entry, of_product], dim=1)
        )
        return entry_VU + segment_expand(target_BU, behaviour.lengths, num_entries)

    def comparable(self, entries: Tensor) -> Tensor:
        """Return the part (..., Q) of entries (..., E) that the candidate has, too."""
        # A slice of everything would cost a copy of its gradient.
        return entries if self.num_extra == 0 else entries[..., : self.target_dim]

    def factors(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return what the first layer multiplies q (U, Q), k (U, E) and q * k (U, Q) by: Wa + Wc, Wb - Wc, Wd."""
        of_target, of_entry, of_difference, of_product = torch.split(self.first.weight, self.widths, dim=1)
        of_target = of_target + of_difference
        if self.num_extra > 0:
            of_difference = functional.pad(of_difference, [0, self.num_extra])
        return of_target, of_entry - of_difference, of_product

    def rank(self, behaviour: Behaviour, candidates_G: Tensor) -> Tensor:
        """Return the interests of candidates of whom several share a history, (B, E).

        Args:
            behaviour: Targets (B, Q) of the candidates; history and lengths (G,) of the users.
            candidates_G: Number of candidates of each user.
        """
        of_target, of_entry, of_product = self.factors()
        target_BU = functional.linear(behaviour.target, of_target, self.first.bias)
        entry_VU = functional.linear(behaviour.history, of_entry)
        of_product_QU = of_product.t()
        num_entries: list[int] = behaviour.lengths.long().tolist()
        num_candidates: list[int] = candidates_G.tolist()
        interests = [behaviour.history[:0]]
        entry, candidate = 0, 0
        for length, count in zip(num_entries, num_candidates):  # noqa: B905  # TorchScript knows no strict=
            history_LE, entry_LU = behaviour.history[entry : entry + length], entry_VU[entry : entry + length]
            end, step = candidate + count, max(1, self.num_pairs // max(1, length))
            while candidate < end:
                stop = min(candidate + step, end)
                target_BQ = behaviour.target[candidate:stop]
                product_BLQ = target_BQ.unsqueeze(1) * self.comparable(history_LE)
                hidden_BLU = target_BU[candidate:stop].unsqueeze(1) + entry_LU
                hidden_PU = hidden_BLU.flatten(0, 1).addmm_(product_BLQ.flatten(0, 1), of_product_QU)
                scores_BL = self.rest(hidden_PU).view(stop - candidate, length)
                if self.softmax:
                    scores_BL = torch.softmax(scores_BL, dim=1)
                interests.append(scores_BL @ history_LE)
                candidate = stop
            entry += length
        return torch.cat(interests)
