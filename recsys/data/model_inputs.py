"""The entrance of the exported graph: names, types and lengths are checked, long lists are cut.

TorchScript checks in the graph itself. A program of torch.export keeps no check of values, so that its host checks with
the same module (`check`), and the graph begins with `read_unchecked`.

Dimension key: B rows or candidates, G users, V entries of all lists of one feature.
"""

from typing import assert_never

import torch
from torch import Tensor, nn
from torch.jit import is_scripting  # type: ignore[attr-defined]

from recsys.config.feature_types import FeatureSection, ListLimit
from recsys.data.alignment import find_misalignment

__all__ = ["Inputs", "repeated_entries", "take", "take_list", "truncate"]


class Inputs(nn.Module):
    """Check the raw inputs and cut lists to their longest allowed length.

    Shape:
        inputs: NAME (B,) int64 (ids, times) or float64 (numbers, buckets); lists NAME.values (V,) int64 and
            NAME.lengths (B,) int64.
        output: values by feature, list lengths (B,) by feature, and B.
    """

    # Types stand here, for TorchScript cannot tell what an empty list holds.
    integers: list[str]
    floats: list[str]
    lists: list[str]
    max_lens: list[int]
    keeps_last: list[bool]
    aligned: list[list[str]]
    first: list[str]
    is_checking: bool

    def __init__(self, features: dict[str, FeatureSection], aligned: list[list[str]]) -> None:
        super().__init__()
        self.integers = []
        self.floats = []
        self.lists = []
        self.max_lens = []
        self.keeps_last = []
        self.aligned = aligned
        self.is_checking = True
        for name, feature in features.items():
            match feature.input:
                case "int64":
                    self.integers.append(name)
                case "float64":
                    self.floats.append(name)
                case "lists":
                    self._add_list(name, feature.list_limit())
                case None:  # made of other features
                    pass
                case _:
                    assert_never(feature.input)
        self.first = [*self.integers, *self.floats, *(f"{name}.lengths" for name in self.lists)][:1]

    def _add_list(self, name: str, limit: ListLimit | None) -> None:
        assert limit is not None, f"{name}: a type whose input is lists must have a limit"
        self.lists.append(name)
        self.max_lens.append(limit.max_len)
        self.keeps_last.append(limit.keeps_last)

    def forward(self, inputs: dict[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor], int]:
        first = self.first[0]
        if first not in inputs:
            raise RuntimeError(f"input {first} is missing")
        num_rows = inputs[first].numel()
        raw, lengths = self.read(inputs, num_rows)
        return raw, lengths, num_rows

    def read(self, inputs: dict[str, Tensor], num_rows: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Return the values and list lengths of inputs of so many rows, long lists cut."""
        if not self.is_checking:
            return self.read_unchecked(inputs)
        raw, lengths = self.check(inputs, num_rows)
        for i, name in enumerate(self.lists):
            raw[name], lengths[name] = truncate(raw[name], lengths[name], self.max_lens[i], self.keeps_last[i])
        return raw, lengths

    def check(self, inputs: dict[str, Tensor], num_rows: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Return the values and list lengths of inputs of so many rows, lists as long as they are given."""
        raw: dict[str, Tensor] = {}
        lengths: dict[str, Tensor] = {}
        for name in self.integers:
            raw[name] = take(inputs, name, True, num_rows)
        for name in self.floats:
            raw[name] = take(inputs, name, False, num_rows)
        for name in self.lists:
            raw[name], lengths[name] = take_list(inputs, name, num_rows)
        problem = find_misalignment(self.aligned, lengths)
        if problem != "":
            raise RuntimeError("inputs " + problem)
        return raw, lengths

    def read_unchecked(self, inputs: dict[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Return the values and the list lengths of inputs that were checked, lists cut."""
        raw: dict[str, Tensor] = {}
        lengths: dict[str, Tensor] = {}
        for name in self.integers + self.floats:
            raw[name] = inputs[name]
        for i, name in enumerate(self.lists):
            length_B = inputs[name + ".lengths"]
            raw[name], lengths[name] = cut(inputs[name + ".values"], length_B, self.max_lens[i], self.keeps_last[i])
        if not is_scripting():
            for names in self.aligned:
                for name in names[1:]:
                    torch._check(  # type: ignore[no-untyped-call]
                        raw[name].size(0) == raw[names[0]].size(0)
                    )
        return raw, lengths


def take(inputs: dict[str, Tensor], name: str, is_integer: bool, num_rows: int) -> Tensor:
    """Return the input `name`, (num_rows,) int64 or float64; any number of rows if `num_rows` is negative."""
    if name not in inputs:
        raise RuntimeError(f"input {name} is missing")
    value = inputs[name]
    if value.dtype != (torch.int64 if is_integer else torch.float64):
        promised = "int64" if is_integer else "float64"
        raise RuntimeError(f"input {name}: dtype must be {promised}, got {dtype_name(value)}")
    if value.dim() != 1 or (num_rows >= 0 and value.numel() != num_rows):
        rows = str(num_rows) if num_rows >= 0 else "any"
        raise RuntimeError(f"input {name}: shape must be ({rows},), got {list(value.shape)}")
    return value.contiguous()


def dtype_name(value: Tensor) -> str:
    """Name the likely types; to TorchScript a dtype is a number."""
    if value.dtype == torch.float32:
        return "float32"
    if value.dtype == torch.float64:
        return "float64"
    if value.dtype == torch.int32:
        return "int32"
    if value.dtype == torch.int64:
        return "int64"
    return "another type"


def take_list(inputs: dict[str, Tensor], name: str, num_rows: int) -> tuple[Tensor, Tensor]:
    """Return NAME.values (V,) and NAME.lengths (B,), which must agree."""
    values = take(inputs, name + ".values", True, -1)
    lengths = take(inputs, name + ".lengths", True, num_rows)
    if bool((lengths < 0).any()):
        raise RuntimeError(f"input {name}.lengths: must not be negative, got {int(lengths.min())}")
    total = int(lengths.sum())
    if total != values.numel():
        raise RuntimeError(f"input {name}: lengths must sum to the number of values, got {total} and {values.numel()}")
    return values, lengths


def truncate(value_V: Tensor, length_B: Tensor, max_len: int, keep_last: bool) -> tuple[Tensor, Tensor]:
    """Keep the first `max_len` values of each row, or the last.

    >>> values, lengths = truncate(torch.tensor([1, 2, 3, 4]), torch.tensor([3, 1]), 2, True)
    >>> values.tolist(), lengths.tolist()
    ([2, 3, 4], [2, 1])
    """
    if not bool((length_B > max_len).any()):
        return value_V, length_B
    return cut(value_V, length_B, max_len, keep_last)


def cut(value_V: Tensor, length_B: Tensor, max_len: int, keep_last: bool) -> tuple[Tensor, Tensor]:
    """Do what `truncate` does without looking whether it changes anything."""
    first_B = torch.cumsum(length_B, 0) - length_B
    row_V = torch.repeat_interleave(length_B, output_size=value_V.numel())
    place_V = torch.arange(value_V.numel(), device=value_V.device) - first_B[row_V]
    is_kept_V = place_V < max_len
    if keep_last:
        is_kept_V = place_V >= length_B[row_V] - max_len
    return value_V[is_kept_V], length_B.clamp(max=max_len)


def repeated_entries(length_G: Tensor, user_B: Tensor, length_B: Tensor) -> Tensor:
    """Return where the entries of the list of each candidate's user stand among those of all users, laid end to end.

    >>> repeated_entries(torch.tensor([2, 1]), torch.tensor([0, 0, 1]), torch.tensor([2, 2, 1])).tolist()
    [0, 1, 0, 1, 2]

    Args:
        length_G: entries of each user's list.
        user_B: the user of each candidate.
        length_B: entries of the list of each candidate's user.
    """
    num_entries = int(length_B.sum())
    candidate_V = torch.repeat_interleave(length_B, output_size=num_entries)
    begins_there_G = torch.cumsum(length_G, 0) - length_G
    begins_here_B = torch.cumsum(length_B, 0) - length_B
    shift_B = begins_there_G.index_select(0, user_B) - begins_here_B
    return torch.arange(num_entries, device=length_B.device) + shift_B.index_select(0, candidate_V)
