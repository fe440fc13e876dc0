"""The Open Inference Protocol over REST: JSON, and the extension for raw bytes after it."""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from recsys.errors import DataError
from recsys.serving.protocol.request import Answer, InferRequest, WantedOutput, new_id
from recsys.serving.protocol.tensors import REQUEST, WireTensor, from_json, from_raw

__all__ = ["json_scores", "parse_json", "read_request", "request_id", "write_answer"]


def parse_json(body: bytes | memoryview) -> dict[str, Any]:
    """Return the object that a body holds.

    Raises:
        DataError: it holds none.
    """
    try:
        found = json.loads(bytes(body))
    except (ValueError, RecursionError) as error:
        raise DataError(f"the body is no JSON: {str(error) or 'it is nested too deeply'}") from None
    if not isinstance(found, dict):
        raise DataError(f"the body must be a JSON object, got {_shown(found)}")
    return found


def read_request(body: bytes, header_length: int | None = None) -> InferRequest:
    """Read the body of an inference request.

    Args:
        body: JSON, and after it the raw bytes of those tensors that have a `binary_data_size`, in order.
        header_length: length of the JSON in bytes, if the request says it; default: that of the body.

    Raises:
        DataError: it is no such request; the message names the input.
    """
    if header_length is not None and not 0 <= header_length <= len(body):
        raise DataError(f"Inference-Header-Content-Length must be 0 to {len(body)}, got {header_length}")
    view = memoryview(body)
    raw = view[header_length:] if header_length is not None else view[:0]
    content = parse_json(view[:header_length])
    tensors = []
    for declared in _objects(content, "inputs"):
        tensor, raw = _tensor(declared, raw)
        tensors.append(tensor)
    if len(raw):
        raise DataError(f"{len(raw)} bytes follow those of the last input")
    is_binary = _parameters(content).get("binary_data_output") is True
    wanted = [_wanted(declared, is_binary) for declared in _objects(content, "outputs", default=[])]
    return InferRequest(request_id(content), tensors, wanted, is_binary)


def write_answer(answer: Answer, outputs: Sequence[WantedOutput]) -> tuple[bytes, int | None]:
    """Return the body of an answer, and the length of its JSON if raw bytes follow."""
    described, raw = [], []
    for output in outputs:
        scores = np.ascontiguousarray(answer.scores[output.name], "<f8")
        one: dict[str, Any] = {"name": output.name, "datatype": "FP64", "shape": [len(scores)]}
        if output.is_binary:
            raw.append(scores.tobytes())
            one["parameters"] = {"binary_data_size": len(raw[-1])}
        else:
            one["data"] = json_scores(scores)
        described.append(one)
    content = {"model_name": answer.model_name, "model_version": answer.model_version, "id": answer.id}
    header = json.dumps({**content, "outputs": described}).encode()
    return header + b"".join(raw), len(header) if raw else None


def json_scores(scores: np.ndarray) -> list[float | None]:
    """Return scores, (B,), as JSON holds them: null for what is no number."""
    return [score if math.isfinite(score) else None for score in scores.tolist()]


def request_id(content: Mapping[str, Any]) -> str:
    """Return the id that a request states, or a new one.

    Raises:
        DataError: it states what is no text.
    """
    found = content.get("id", "")
    if not isinstance(found, str):
        raise DataError(f"id: must be a text, got {_shown(found)}")
    return found or new_id()


def _objects(content: Mapping[str, Any], key: str, *, default: Any = None) -> list[dict[str, Any]]:
    found = content.get(key, default)
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise DataError(f"{key}: must be a list of objects, got {_shown(found)}")
    return found


def _parameters(content: Mapping[str, Any]) -> dict[str, Any]:
    found = content.get("parameters") or {}
    if not isinstance(found, dict):
        raise DataError(f"parameters: must be an object, got {_shown(found)}")
    return found


def _wanted(declared: Mapping[str, Any], is_binary: bool) -> WantedOutput:
    name = _name(declared, "outputs")
    return WantedOutput(name, _parameters(declared).get("binary_data", is_binary) is True)


def _name(declared: Mapping[str, Any], key: str) -> str:
    name = declared.get("name")
    if not isinstance(name, str):
        raise DataError(f"{key}: each must have a name, a text, got {_shown(name)}")
    return name


def _tensor(declared: Mapping[str, Any], raw: memoryview) -> tuple[WireTensor, memoryview]:
    """Read one input, and return it with the raw bytes of those after it."""
    name = _name(declared, "inputs")
    datatype, shape, data = declared.get("datatype"), declared.get("shape"), declared.get("data")
    if not isinstance(datatype, str):
        raise REQUEST.column(name, f"datatype must be a text, got {_shown(datatype)}")
    if not isinstance(shape, list) or not all(type(size) is int for size in shape):
        raise REQUEST.column(name, f"shape must be a list of integers, got {_shown(shape)}")
    size = _parameters(declared).get("binary_data_size")
    if size is None:
        if not isinstance(data, list):
            raise REQUEST.column(name, f"data must be a list, got {_shown(data)}")
        return from_json(name, datatype, shape, data), raw
    if type(size) is not int or not 0 <= size <= len(raw):
        raise REQUEST.column(
            name, f"binary_data_size must be 0 to {len(raw)}, the bytes that are left, got {_shown(size)}"
        )
    return from_raw(name, datatype, shape, raw[:size]), raw[size:]


def _shown(value: Any) -> str:
    return f"{json.dumps(value):.60}" if not isinstance(value, int) or abs(value) < 10**40 else "a longer number"
