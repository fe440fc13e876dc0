"""The two sides of a ranking request: what says something of the user, and what of the candidate.

An input is the user's if its column is a history or the column `group`, or is named when the model is exported. A field
is the user's if all inputs that it is made of are; a cross of both sides is the candidate's.

Dimension key: G users, B candidates.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from recsys.bundle_folder import CANDIDATE_LENGTHS, CANDIDATES
from recsys.config import Field, ResolvedConfig
from recsys.config.feature_types import FeatureSection
from recsys.data.model_inputs import Inputs, take
from recsys.errors import ExportError
from recsys.features.transform import input_columns
from recsys.registry import did_you_mean
from recsys.towers import SplitColumns

__all__ = ["Sides", "is_of_user", "user_inputs"]


def user_inputs(resolved: ResolvedConfig, named: Sequence[str]) -> set[str]:
    """Return the features whose columns say something of the user: histories, the column `group`, and those named.

    Args:
        resolved: the configuration of the model.
        named: columns.

    Raises:
        ExportError: no feature reads such a column, or a list has the name of the lengths of candidates.
    """
    if CANDIDATES in resolved.features and resolved.features[CANDIDATES].input == "lists":
        raise ExportError(f"features.{CANDIDATES}: needs another name: {CANDIDATE_LENGTHS} counts a user's candidates")
    columns = input_columns(resolved)
    for column in named:
        if column not in columns:
            hint = did_you_mean(column, columns) or f"; they read {', '.join(columns)}"
            raise ExportError(f"user: no feature of the model reads a column {column!r}{hint}")
    read = {name: feature.column_of(name) for name, feature in resolved.features.items()}
    histories = [read[name] for name, feature in resolved.features.items() if feature.kind == "sequence"]
    of_user = {*histories, resolved.config.group, *named} - {None}
    return {name for name, column in read.items() if column in of_user}


def is_of_user(resolved: ResolvedConfig, field: Field, of_user: set[str]) -> bool:
    """Return whether all inputs of a field are the user's."""
    return of_user.issuperset(resolved.features[field.feature].inputs(field.feature))


class Sides(nn.Module):
    """Says what belongs to the users and what to their candidates.

    Args:
        features: all features.
        aligned: sequences of which each row has equally many entries.
        of_user: features whose inputs are the users'.
        fields: whether each field of the graph is the user's, and its width in floats, in order.
        repeated: for each encoder, inputs of users that are to be repeated for each candidate.
        targets: fields of users whose values histories hold.
        calibrated_by: field of users by whose values their candidates' probabilities are calibrated; none if None.
    """

    is_field_of_user: list[bool]
    repeated: list[list[str]]
    targets: list[str]
    user_columns: Tensor
    candidate_columns: Tensor

    def __init__(
        self,
        features: dict[str, FeatureSection],
        aligned: list[list[str]],
        of_user: set[str],
        *,
        fields: Sequence[tuple[bool, int]],
        repeated: list[list[str]],
        targets: list[str],
        calibrated_by: str | None = None,
    ) -> None:
        super().__init__()
        self.lengths = CANDIDATE_LENGTHS
        self.of_users = Inputs({name: one for name, one in features.items() if name in of_user}, aligned)
        self.of_candidates = Inputs({name: one for name, one in features.items() if name not in of_user}, [])
        self.is_field_of_user = [of_user for of_user, _ in fields]
        self.repeated = repeated
        self.targets = targets
        self.calibrated_by = calibrated_by or ""  # TorchScript wants one type
        is_of_user = torch.tensor([of_user for of_user, width in fields for _ in range(width)], dtype=torch.bool)
        self.register_buffer("user_columns", is_of_user.nonzero()[:, 0])
        self.register_buffer("candidate_columns", (~is_of_user).nonzero()[:, 0])

    def users(self, inputs: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Return the number of candidates of each user, (G,), and the user of each candidate, (B,)."""
        candidates_G = take(inputs, self.lengths, True, -1)
        if bool((candidates_G < 0).any()):
            raise RuntimeError(f"input {self.lengths}: must not be negative, got {int(candidates_G.min())}")
        return candidates_G, torch.repeat_interleave(candidates_G)

    def read(
        self, inputs: dict[str, Tensor], num_users: int, num_candidates: int
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Return values by feature and list lengths by feature, of users and of candidates."""
        raw, lengths = self.of_users.read(inputs, num_users)
        candidate_raw, candidate_lengths = self.of_candidates.read(inputs, num_candidates)
        raw.update(candidate_raw)
        lengths.update(candidate_lengths)
        return raw, lengths

    def repeat(self, raw: dict[str, Tensor], encoder: int, user_B: Tensor) -> dict[str, Tensor]:
        """Return the inputs of an encoder: those of users that it joins with candidates' are repeated for each."""
        if len(self.repeated[encoder]) == 0:
            return raw
        wide = raw.copy()
        for name in self.repeated[encoder]:
            wide[name] = raw[name].index_select(0, user_B)
        return wide

    def repeat_targets(self, vectors: dict[str, Tensor], user_B: Tensor) -> None:
        """Repeat the vectors of fields of users whose values histories hold, for each candidate."""
        for name in self.targets:
            vectors[name] = vectors[name].index_select(0, user_B)

    def repeat_calibrated_by(self, ids: dict[str, Tensor], user_B: Tensor) -> None:
        """Repeat the ids of users by which candidates are calibrated, for each candidate."""
        if self.calibrated_by != "":
            ids[self.calibrated_by] = ids[self.calibrated_by].index_select(0, user_B)

    def split(self, fields: list[Tensor], numbers: SplitColumns) -> SplitColumns:
        """Put the fields of users side by side, and those of candidates."""
        of_users, of_candidates = [numbers.of_user[:, :0]], [numbers.of_candidate[:, :0]]
        for i, field in enumerate(fields):
            if self.is_field_of_user[i]:
                of_users.append(field)
            else:
                of_candidates.append(field)
        return SplitColumns(
            torch.cat(of_users, dim=1), torch.cat(of_candidates, dim=1), self.user_columns, self.candidate_columns
        )
