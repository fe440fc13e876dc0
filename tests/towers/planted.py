"""Small click logs with a planted signal, and a model small enough to find it in a second."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from recsys.config.towers import Model
from recsys.towers import Behaviour, BehaviourInputs, TowerInputs, build_tower


class Log(NamedTuple):
    ids: Tensor
    """One id for each field, (rows, F)."""
    labels: Tensor
    """(rows,) of 0 and 1."""
    history: Tensor
    """Ids of field 0 seen before, (rows, L); 0 where there is none."""

    def cut(self, start: int, end: int) -> "Log":
        return Log(*(tensor[start:end] for tensor in self))


class Embedded(nn.Module):
    """One embedding for all fields (their ids do not overlap) and a tower; histories pool by mean if it has no use."""

    def __init__(self, num_ids: int, num_fields: int, model: Model, *, dim: int, with_history: bool = False) -> None:
        super().__init__()
        self.with_history = with_history
        self.embedding = nn.Embedding(num_ids, dim)
        nn.init.normal_(self.embedding.weight, std=0.3)
        behaviours = [BehaviourInputs([0], dim, dim)] if with_history and model.tower == "din" else []
        num_fields += with_history and model.tower != "din"
        self.tower = build_tower(TowerInputs([dim] * num_fields, 0, behaviours, 1), model)

    def rows(self, log: Log) -> tuple[Tensor, Tensor, list[Behaviour]]:
        fields = self.embedding(log.ids)
        behaviours = []
        if self.with_history:
            seen = log.history > 0
            behaviour = Behaviour(fields[:, 0], self.embedding(log.history[seen]), seen.sum(1).int())
            behaviours = [behaviour]
            if not self.tower.section.uses_behaviours:
                pooled = torch.zeros_like(behaviour.target).index_add(0, seen.nonzero()[:, 0], behaviour.history)
                pooled = pooled / seen.sum(1, keepdim=True).clamp(min=1)
                fields = torch.cat([fields, pooled.unsqueeze(1)], dim=1)
        return fields.flatten(1), torch.empty(len(fields), 0), behaviours

    def forward(self, log: Log) -> Tensor:
        logits: Tensor = self.tower(*self.rows(log)).squeeze(1)
        return logits


def fit(model: Embedded, log: Log, *, epochs: int, lr: float = 0.01, batch_size: int = 256) -> Embedded:
    """Train with Adam, rows in their order."""
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    for _ in range(epochs):
        for start in range(0, len(log.labels), batch_size):
            part = log.cut(start, start + batch_size)
            optimizer.zero_grad()
            nn.functional.binary_cross_entropy_with_logits(model(part), part.labels).backward()
            optimizer.step()
    return model.eval()


def auc(model: Embedded, log: Log) -> float:
    """Return how often a positive scores above a negative; no ties are expected of trained models."""
    with torch.no_grad():
        scores = model(log)
    positive, negative = scores[log.labels == 1], scores[log.labels == 0]
    above = (positive[:, None] > negative).float() + 0.5 * (positive[:, None] == negative).float()
    return float(above.mean())
