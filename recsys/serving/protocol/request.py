"""A request for scores and its answer, whichever way they come and go."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from recsys.errors import DataError
from recsys.registry import did_you_mean
from recsys.serving.protocol.tensors import WireTensor

__all__ = ["Answer", "InferRequest", "WantedOutput", "check_num_rows", "new_id", "wanted_outputs"]


class WantedOutput(NamedTuple):
    """An output that a request asks for."""

    name: str
    is_binary: bool = False
    """Whether REST is to send it as raw bytes, not as JSON."""


@dataclass(frozen=True, slots=True)
class InferRequest:
    """A request of the Open Inference Protocol."""

    id: str
    tensors: Sequence[WireTensor]
    outputs: Sequence[WantedOutput] = ()
    """Outputs in the order in which they are wanted; none stands for all."""
    is_binary: bool = False
    """Whether REST is to send all outputs as raw bytes if none is named."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Scores of the rows of one request."""

    id: str
    model_name: str
    model_version: str
    scores: dict[str, np.ndarray]
    """Output -> (rows,) float64."""


def new_id() -> str:
    """Return the id of a request that has none."""
    return uuid.uuid4().hex


def check_num_rows(num_rows: int, max_rows: int, *, what: str = "rows") -> None:
    """Refuse a request with too many rows, or users or candidates.

    Raises:
        DataError: it has.
    """
    if num_rows > max_rows:
        raise DataError(f"a request may have {max_rows} {what}, got {num_rows}; send several requests")


def wanted_outputs(request: InferRequest, known: Sequence[str]) -> list[WantedOutput]:
    """Return the outputs that an answer has.

    Raises:
        DataError: the model has no such output.
    """
    for output in request.outputs:
        if output.name not in known:
            hint = did_you_mean(output.name, known) or f"; it has {', '.join(known)}"
            raise DataError(f"output {output.name}: the model has none of that name{hint}", column=output.name)
    return list(request.outputs) or [WantedOutput(name, request.is_binary) for name in known]
