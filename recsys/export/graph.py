"""The exported graph: raw inputs -> probabilities, in plain ATen operations.

    inputs --check, cut--> keys --encode--> ids --remap, embed, combine--> vectors --pool--> fields --tower--> p

The same steps as training takes, by the same tower and the schemes' serving forms. Vocabularies and tables are held
once, by the module that encodes or reads all their fields.

Dimension key: B rows, C width of all fields, D width of one, T tasks, V ids of one field.
"""

import torch
from torch import Tensor, nn

from recsys.export.inputs import Inputs
from recsys.towers import Behaviour
from recsys.towers.layers import segment_sum

__all__ = ["Fields", "Graph", "Histories", "TableReader"]


class TableReader(nn.Module):
    """One scheme: ids of all fields it serves -> vectors.

    Args:
        serving: its serving form, (id_V, feature_index) -> (V, D).
        feature_indices: field -> the index, in the scheme, of the vocabulary whose ids it holds.
    """

    fields: list[str]
    feature_indices: list[int]

    def __init__(self, serving: nn.Module, feature_indices: dict[str, int]) -> None:
        super().__init__()
        self.serving = serving
        self.fields = list(feature_indices)
        self.feature_indices = list(feature_indices.values())

    def forward(self, ids: dict[str, Tensor], vectors: dict[str, Tensor]) -> None:
        """Add the vectors (V, D) of each field to `vectors`."""
        for i, field in enumerate(self.fields):
            vectors[field] = self.serving(ids[field], self.feature_indices[i])


class Fields(nn.Module):
    """Vectors of all fields side by side, lists pooled: (B, C).

    Args:
        poolings: field -> "none" for one id a row, else "sum" or "mean".
    """

    names: list[str]
    poolings: list[str]

    def __init__(self, poolings: dict[str, str]) -> None:
        super().__init__()
        self.names = list(poolings)
        self.poolings = list(poolings.values())

    def forward(self, vectors: dict[str, Tensor], lengths: dict[str, Tensor]) -> list[Tensor]:
        fields: list[Tensor] = []
        for name, pooling in zip(self.names, self.poolings):  # noqa: B905  # TorchScript knows no strict=
            vector = vectors[name]
            if pooling != "none":
                vector = segment_sum(vector, lengths[name])
                if pooling == "mean":
                    vector = vector / lengths[name].clamp(min=1).unsqueeze(1)
            fields.append(vector)
        return fields


class Histories(nn.Module):
    """Behaviours for the tower, from aligned sequences and the fields they are values of."""

    sequences: list[list[str]]
    targets: list[list[str]]

    def __init__(self, sequences: list[list[str]], targets: list[list[str]]) -> None:
        super().__init__()
        self.sequences = sequences
        self.targets = targets

    def forward(self, vectors: dict[str, Tensor], lengths: dict[str, Tensor]) -> list[Behaviour]:
        behaviours: list[Behaviour] = []
        for i, names in enumerate(self.sequences):
            target = torch.cat([vectors[name] for name in self.targets[i]], dim=1)
            history = torch.cat([vectors[name] for name in names], dim=1)
            behaviours.append(Behaviour(target, history, lengths[names[0]]))
        return behaviours


class Graph(nn.Module):
    """Raw inputs by name -> probabilities (B, T) float64."""

    def __init__(
        self,
        *,
        inputs: Inputs,
        encoders: list[nn.Module],
        numbers: nn.Module,
        tables: list[TableReader],
        fields: Fields,
        histories: Histories,
        tower: nn.Module,
    ) -> None:
        super().__init__()
        self.inputs = inputs
        self.encoders = nn.ModuleList(encoders)
        self.numbers = numbers
        self.tables = nn.ModuleList(tables)
        self.fields = fields
        self.histories = histories
        self.tower = tower

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        raw, lengths, num_rows = self.inputs(inputs)
        ids: dict[str, Tensor] = {}
        for encoder in self.encoders:
            encoder(raw, ids)
        vectors: dict[str, Tensor] = {}
        for table in self.tables:
            table(ids, vectors)
        number_BN = self.numbers(raw, num_rows)
        fields = self.fields(vectors, lengths)
        flat_BC = torch.cat(fields, dim=1) if len(fields) > 0 else number_BN[:, :0]
        logit_BT = self.tower(flat_BC, number_BN, self.histories(vectors, lengths))
        return torch.sigmoid(logit_BT.double())  # in float64, as the predictions of training: close scores stay apart
