"""The tensors that a bundle takes: those of a request are checked, and become the inputs of the model.

A ranking request has the tensors of users once, those of all their candidates, one user after another, and
`candidates.lengths`, the number of candidates of each user.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import torch

from recsys.bundle_folder import CANDIDATE_LENGTHS
from recsys.data.alignment import find_misalignment
from recsys.errors import DataError
from recsys.features.fingerprint import KeyKind
from recsys.features.values import BadValue, to_keys, to_numbers
from recsys.registry import did_you_mean
from recsys.serving.protocol.request import check_num_rows
from recsys.serving.protocol.tensors import NUMPY_TYPES, REQUEST, WireTensor

__all__ = ["Batch", "RequestLayout", "TensorSpec", "concatenate"]


class TensorSpec(NamedTuple):
    """A tensor in the metadata of a model; it has one dimension of any length."""

    name: str
    datatype: str


class Batch(NamedTuple):
    """Rows as the model takes them; or users, and their candidates."""

    inputs: dict[str, np.ndarray]
    """NAME, or NAME.values and NAME.lengths; int64 or float64."""
    num_rows: int
    """Number of rows, or of candidates."""
    num_repeated: int = 0
    """Entries of users' lists, once for each of their candidates."""

    @property
    def is_ranking(self) -> bool:
        """Whether users stand once, each with several candidates."""
        return CANDIDATE_LENGTHS in self.inputs

    @property
    def cost(self) -> int:
        """Number of values that the model works on: rows, and entries of lists, those of a user for each candidate."""
        num_entries = sum(len(array) for name, array in self.inputs.items() if name.endswith(".values"))
        return self.num_rows + num_entries + self.num_repeated


class _Size(NamedTuple):
    """Number of rows that the tensors of one side must have, and why."""

    rows: int
    reason: str


def concatenate(batches: Sequence[Batch]) -> Batch:
    """Put the rows, or the users and candidates, of several requests one after another.

    >>> one = Batch({"seen.values": np.array([7, 8]), "seen.lengths": np.array([2])}, 1)
    >>> concatenate([one, one]).inputs["seen.values"].tolist()
    [7, 8, 7, 8]
    """
    if len(batches) == 1:
        return batches[0]
    names = batches[0].inputs
    inputs = {name: np.concatenate([batch.inputs[name] for batch in batches]) for name in names}
    return Batch(inputs, sum(batch.num_rows for batch in batches), sum(batch.num_repeated for batch in batches))


class RequestLayout:
    """The tensors of a bundle.

    Args:
        inputs: `inputs` of its signature.
        aligned: sequences of which each row has equally many entries.
        max_rows: the largest number of rows, users or candidates of a request.
        can_rank: whether the model takes ranking requests.
    """

    def __init__(
        self, inputs: Sequence[Mapping[str, Any]], aligned: list[list[str]], *, max_rows: int, can_rank: bool = False
    ) -> None:
        self.max_rows = max_rows
        self._declared = {declared["name"]: declared for declared in inputs}
        self._aligned = aligned
        self._names = [tensor for declared in inputs for tensor in declared["tensors"]]
        self._known = [*self._names, CANDIDATE_LENGTHS] if can_rank else self._names

    @property
    def specs(self) -> list[TensorSpec]:
        """All tensors in order, with the datatype that every server of the bundle takes."""
        return [
            TensorSpec(tensor, "FP64" if declared["dtype"] == "float64" else "INT64")
            for declared in self._declared.values()
            for tensor in declared["tensors"]
        ]

    def decode(self, tensors: Iterable[WireTensor]) -> Batch:
        """Check the tensors of a request and return the inputs of the model.

        Ids may be INT64 (keys) or BYTES (texts, which become keys here); any narrower type of integers or numbers will
        do where it loses nothing.

        Raises:
            DataError: a tensor is missing, unknown, given twice, or does not fit; the message names it.
        """
        given = self._by_name(tensors)
        inputs: dict[str, np.ndarray] = {}
        if CANDIDATE_LENGTHS in given:
            inputs[CANDIDATE_LENGTHS] = self._candidates(given[CANDIDATE_LENGTHS])
            of_user = _Size(len(inputs[CANDIDATE_LENGTHS]), f", that of {CANDIDATE_LENGTHS}")
            of_row = _Size(int(inputs[CANDIDATE_LENGTHS].sum()), f", the sum of {CANDIDATE_LENGTHS}")
        else:
            of_user = of_row = _Size(self._num_rows(given), " as that of other inputs")
        for name, declared in self._declared.items():
            size = of_user if declared.get("user") else of_row
            if f"{name}.lengths" in declared["tensors"]:
                lengths = _lengths(given[f"{name}.lengths"], len(given[f"{name}.values"].values))
                _check_rows(f"{name}.lengths", len(lengths), size)
                inputs[f"{name}.values"] = _keys(given[f"{name}.values"], declared.get("key"), lengths)
                inputs[f"{name}.lengths"] = lengths
            else:
                _check_rows(name, len(given[name].values), size)
                is_number = declared["dtype"] == "float64"
                inputs[name] = _numbers(given[name]) if is_number else _keys(given[name], declared.get("key"))
        self._check_alignment(inputs)
        return self.batch(inputs, of_row.rows)

    def batch(self, inputs: dict[str, np.ndarray], num_rows: int) -> Batch:
        """Return inputs of the model as a batch.

        Args:
            inputs: rows, or users and candidates, that fit together.
            num_rows: number of rows, or of candidates.
        """
        if CANDIDATE_LENGTHS not in inputs:
            return Batch(inputs, num_rows)
        num_repeated = 0
        for name, declared in self._declared.items():
            if declared.get("user") and f"{name}.lengths" in declared["tensors"]:
                kept = np.minimum(inputs[f"{name}.lengths"], declared.get("max_len", np.iinfo(np.int64).max))
                num_repeated += int(kept @ inputs[CANDIDATE_LENGTHS])
        return Batch(inputs, num_rows, num_repeated)

    def _candidates(self, tensor: WireTensor) -> np.ndarray:
        """Return the number of candidates of each user."""
        counts = _not_negative(tensor)
        check_num_rows(len(counts), self.max_rows, what="users")
        for num_candidates in (counts.max(initial=0), counts.sum()):  # the sum of large ones is none
            check_num_rows(int(num_candidates), self.max_rows, what="candidates")
        return counts

    def _by_name(self, tensors: Iterable[WireTensor]) -> dict[str, WireTensor]:
        given: dict[str, WireTensor] = {}
        for tensor in tensors:
            if tensor.name not in self._known:
                hint = did_you_mean(tensor.name, self._known) or f"; it takes {', '.join(self._known)}"
                raise REQUEST.column(tensor.name, f"is no input of the model{hint}")
            if tensor.name in given:
                raise REQUEST.column(tensor.name, "is given twice")
            given[tensor.name] = tensor
        for name in self._names:
            if name not in given:
                raise REQUEST.column(name, "is missing among the inputs")
        return given

    def _num_rows(self, given: Mapping[str, WireTensor]) -> int:
        """Return the number of rows that most tensors agree on; one that differs is refused later."""
        of_rows = [len(given[name].values) for name in self._names if not name.endswith(".values")]
        num_rows = max(set(of_rows), key=of_rows.count)
        check_num_rows(num_rows, self.max_rows)
        return num_rows

    def _check_alignment(self, inputs: Mapping[str, np.ndarray]) -> None:
        lengths = {name: torch.from_numpy(inputs[f"{name}.lengths"]) for names in self._aligned for name in names}
        problem = find_misalignment(self._aligned, lengths)
        if problem:
            raise DataError(problem, column=problem.partition(",")[0])


def _check_rows(name: str, length: int, size: _Size) -> None:
    if length != size.rows:
        raise REQUEST.column(name, f"shape must be [{size.rows}]{size.reason}, got [{length}]")


def _not_negative(tensor: WireTensor) -> np.ndarray:
    lengths = _integers(tensor, "INT64")
    if len(lengths) and lengths.min() < 0:
        row = int(np.argmax(lengths < 0))
        raise REQUEST.value(tensor.name, f"must not be negative, got {lengths[row]}", row)
    return lengths


def _lengths(tensor: WireTensor, num_values: int) -> np.ndarray:
    lengths = _not_negative(tensor)
    if (len(lengths) and lengths.max() > num_values) or lengths.sum() != num_values:
        raise REQUEST.column(tensor.name, f"must sum to the number of values, {num_values}")
    return lengths


def _keys(tensor: WireTensor, kind: KeyKind | None, lengths: np.ndarray | None = None) -> np.ndarray:
    """Return ids or times, (V,) int64; `lengths` tell the row of an entry of lists."""
    if tensor.datatype != "BYTES":
        return _integers(tensor, "INT64" if kind is None else "INT64 or BYTES")
    if kind is None:
        raise REQUEST.column(tensor.name, "datatype must be INT64, got BYTES")
    try:
        return to_keys(pl.Series(tensor.values, dtype=pl.String), kind).to_numpy()
    except BadValue as error:
        row = error.position
        if lengths is not None:
            row = int(np.searchsorted(np.cumsum(lengths), row, side="right"))
        raise REQUEST.value(tensor.name, str(error), row) from error


def _integers(tensor: WireTensor, promised: str) -> np.ndarray:
    """Return integers as int64; those of 64 bits without sign wrap around, as in files."""
    if tensor.datatype == "BYTES" or NUMPY_TYPES[tensor.datatype].kind == "f":
        raise REQUEST.column(tensor.name, f"datatype must be {promised}, got {tensor.datatype}")
    return np.ascontiguousarray(tensor.values).astype(np.int64)


def _numbers(tensor: WireTensor) -> np.ndarray:
    if tensor.datatype == "BYTES":
        raise REQUEST.column(tensor.name, "datatype must be FP64, got BYTES")
    return to_numbers(pl.Series(np.asarray(tensor.values, np.float64))).to_numpy()
