"""The exported graph: raw inputs -> probabilities, in plain ATen operations.

    inputs --check, cut--> keys --encode--> ids --remap, embed, combine--> vectors --pool--> fields --tower--> p

The same steps as training takes, by the same tower and the schemes' serving forms. Vocabularies and tables are held
once, by the module that encodes or reads all their fields.

Dimension key: B rows or candidates, G users, C width of all fields, D width of one, T tasks, V ids of one field.
"""

import torch
from torch import Tensor, nn

from recsys.data.model_inputs import Inputs
from recsys.export.sides import Sides
from recsys.towers import Behaviour, Ranking, SplitColumns, Tower
from recsys.towers.inputs import make_behaviours, pool
from recsys.towers.ranking import expand

__all__ = ["Fields", "Graph", "Histories", "Numbers", "TableReader"]


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


class Numbers(nn.Module):
    """All number fields, of whatever types: (B, N) float32.

    Args:
        encoders: each gives some of the numbers, (B, n).
        order: index of each number of the graph among those that the encoders give.
        num_of_users: encoders that give numbers of users, which come first, and the numbers that they give.
    """

    order: Tensor
    columns: Tensor
    nothing: Tensor

    def __init__(self, encoders: list[nn.Module], order: list[int], num_of_users: tuple[int, int] = (0, 0)) -> None:
        super().__init__()
        self.encoders = nn.ModuleList(encoders)
        self.num_user_encoders, self.num_user_numbers = num_of_users
        self.is_in_order = order == sorted(order)
        self.register_buffer("order", torch.tensor(order, dtype=torch.int64))
        self.register_buffer("columns", torch.argsort(self.order))
        self.register_buffer("nothing", torch.zeros(1, 0))

    def split(self, raw: dict[str, Tensor], num_users: int, num_candidates: int) -> SplitColumns:
        """Encode the numbers of users, and those of candidates."""
        of_users = [self.nothing.expand(num_users, 0)]
        of_candidates = [self.nothing.expand(num_candidates, 0)]
        for i, encoder in enumerate(self.encoders):
            if i < self.num_user_encoders:
                of_users.append(encoder(raw))
            else:
                of_candidates.append(encoder(raw))
        return SplitColumns(
            torch.cat(of_users, dim=1),
            torch.cat(of_candidates, dim=1),
            self.columns[: self.num_user_numbers],
            self.columns[self.num_user_numbers :],
        )

    def forward(self, raw: dict[str, Tensor], num_rows: int) -> Tensor:
        """Encode the numbers and put them side by side."""
        parts: list[Tensor] = []
        for encoder in self.encoders:
            parts.append(encoder(raw))
        if len(parts) == 0:
            return self.nothing.expand(num_rows, 0)
        numbers_BN = parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)
        return numbers_BN if self.is_in_order else numbers_BN.index_select(1, self.order)


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
        """Return the vector of each field, (B, D)."""
        fields: list[Tensor] = []
        for name, pooling in zip(self.names, self.poolings):  # noqa: B905  # TorchScript knows no strict=
            vector = vectors[name]
            fields.append(vector if pooling == "none" else pool(vector, lengths[name], pooling, False))
        return fields


class Histories(nn.Module):
    """Behaviours for the tower, from aligned sequences and the fields that the first of them are values of."""

    sequences: list[list[str]]
    targets: list[list[str]]

    def __init__(self, sequences: list[list[str]], targets: list[list[str]]) -> None:
        super().__init__()
        self.sequences = sequences
        self.targets = targets

    def forward(self, vectors: dict[str, Tensor], lengths: dict[str, Tensor]) -> list[Behaviour]:
        """Return each behaviour."""
        return make_behaviours(self.sequences, self.targets, vectors, lengths)


class Graph(nn.Module):
    """Raw inputs by name -> probabilities (B, T) float64.

    Args:
        known: names of the fields that have a vocabulary.

    Attributes:
        repeats_users: whether users are repeated for each candidate before the tower, so that rounding is the same.
    """

    known: list[str]

    def __init__(
        self,
        *,
        known: list[str],
        inputs: Inputs,
        encoders: list[nn.Module],
        numbers: Numbers,
        tables: list[TableReader],
        fields: Fields,
        histories: Histories,
        sides: Sides,
        tower: Tower,
        link: nn.Module,
        calibrator: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.known = known
        self.repeats_users = False
        self.inputs = inputs
        self.encoders = nn.ModuleList(encoders)
        self.numbers = numbers
        self.tables = nn.ModuleList(tables)
        self.fields = fields
        self.histories = histories
        self.sides = sides
        self.tower = tower
        self.link = link
        self.calibrator = calibrator

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        if self.sides.lengths in inputs:
            return self.rank(inputs)
        return self.score_with_ids(inputs)[0]

    @torch.jit.export
    def score_with_ids(self, inputs: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the probabilities, and the ids of the fields that have a vocabulary: 0 where it holds no such value.

        Shape:
            ids: (B,), or (V,) those of the entries of lists that are kept.
        """
        raw, lengths, num_rows = self.inputs(inputs)
        ids: dict[str, Tensor] = {}
        for encoder in self.encoders:
            encoder(raw, ids)
        known: dict[str, Tensor] = {}
        for name in self.known:
            known[name] = ids[name]
        return self.score_ids(ids, lengths, self.numbers(raw, num_rows)), known

    def score_ids(self, ids: dict[str, Tensor], lengths: dict[str, Tensor], number_BN: Tensor) -> Tensor:
        """Return the probabilities (B, T) of rows that are encoded already.

        Args:
            ids: those of each field, (B,), or (V,) of the entries of lists.
            lengths: entries of each row's list, (B,), by field.
            number_BN: the numbers.
        """
        vectors: dict[str, Tensor] = {}
        for table in self.tables:
            table(ids, vectors)
        fields = self.fields(vectors, lengths)
        flat_BC = torch.cat(fields, dim=1) if len(fields) > 0 else number_BN[:, :0]
        logit_BT = self.tower(flat_BC, number_BN, self.histories(vectors, lengths))
        return self.probabilities(logit_BT, ids)

    def probabilities(self, logit_BT: Tensor, ids: dict[str, Tensor]) -> Tensor:
        """Return calibrated probabilities (B, T) of rows with these ids."""
        probability_BT: Tensor = self.link(logit_BT)
        if self.calibrator is not None:
            probability_BT = self.calibrator(probability_BT, ids)
        return probability_BT

    @torch.jit.export
    def rank(self, inputs: dict[str, Tensor]) -> Tensor:
        """Return the probabilities (B, T) of the candidates of users, whose inputs stand once.

        Args:
            inputs: those of users, those of candidates, one user after another, and the number of candidates of each.
        """
        candidates_G, user_B = self.sides.users(inputs)
        num_users, num_candidates = candidates_G.numel(), user_B.numel()
        raw, lengths = self.sides.read(inputs, num_users, num_candidates)
        ids: dict[str, Tensor] = {}
        for i, encoder in enumerate(self.encoders):
            encoder(self.sides.repeat(raw, i, user_B), ids)
        vectors: dict[str, Tensor] = {}
        for table in self.tables:
            table(ids, vectors)
        numbers = self.numbers.split(raw, num_users, num_candidates)
        fields = self.sides.split(self.fields(vectors, lengths), numbers)
        self.sides.repeat_targets(vectors, user_B)
        behaviours = self.histories(vectors, lengths)
        ranking = Ranking(fields, numbers, behaviours, candidates_G, user_B)
        if self.repeats_users:
            flat_BC, number_BN, behaviours = expand(ranking)
            logit_BT = self.tower(flat_BC, number_BN, behaviours)
        else:
            logit_BT = self.tower.rank(ranking)
        self.sides.repeat_calibrated_by(ids, user_B)
        return self.probabilities(logit_BT, ids)
