"""What gRPC says to requests that do not fit: a code, and an error that names the place."""

from typing import Any

import grpc
import numpy as np
import pytest

from recsys.serving.protocol.messages import SERVICE, message_class
from tests.serving.server.running import Running, inputs_of, running

pytestmark = pytest.mark.slow


def ask(served: Running, method: str, request: Any) -> Any:
    with grpc.insecure_channel(served.server.grpc_address) as channel:
        call = channel.unary_unary(
            f"/{SERVICE}/{method}",
            request_serializer=message_class(f"{method}Request").SerializeToString,
            response_deserializer=message_class(f"{method}Response").FromString,
        )
        return call(request, timeout=20)


def request(inputs: dict[str, np.ndarray], **fields: Any) -> Any:
    message = message_class("ModelInferRequest")(**{"model_name": "shop", **fields})
    for name, array in inputs.items():
        datatype = "FP64" if array.dtype == np.float64 else "INT64"
        message.inputs.add(name=name, datatype=datatype, shape=[len(array)])
        message.raw_input_contents.append(array.tobytes())
    return message


@pytest.mark.parametrize(
    ("fields", "changes", "code", "problem"),
    [
        ({"model_name": "other"}, {}, "NOT_FOUND", "there is no model 'other'; this server has 'shop'"),
        ({"model_version": "7"}, {}, "NOT_FOUND", "there is no version '7' of 'shop'"),
        ({}, {"price": np.zeros(3)}, "INVALID_ARGUMENT", "column price: shape must be [70]"),
        ({}, {"user": np.zeros(70)}, "INVALID_ARGUMENT", "column user: datatype must be INT64 or BYTES, got FP64"),
        ({"outputs": [{"name": "x"}]}, {}, "INVALID_ARGUMENT", "output x: the model has none of that name"),
    ],
)
def test_a_request_that_does_not_fit_has_a_code_and_names_the_place(
    served: Running, fields: dict[str, Any], changes: dict[str, np.ndarray], code: str, problem: str
) -> None:
    with pytest.raises(grpc.RpcError) as error:
        ask(served, "ModelInfer", request(inputs_of(served.folder) | changes, **fields))
    assert error.value.code().name == code  # type: ignore[attr-defined]
    assert error.value.details().startswith(problem)  # type: ignore[attr-defined]


def test_a_message_that_is_too_large_is_refused(served: Running) -> None:
    with running(served.folder, max_body_bytes=1000) as small, pytest.raises(grpc.RpcError) as error:
        ask(small, "ModelInfer", request(inputs_of(served.folder)))
    assert error.value.code().name == "RESOURCE_EXHAUSTED"  # type: ignore[attr-defined]


def test_a_fault_of_the_server_is_not_shown(
    served: Running, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(served.server.service.bundle, "layout", None)
    with pytest.raises(grpc.RpcError) as error:
        ask(served, "ModelInfer", request(inputs_of(served.folder)))
    assert error.value.code().name == "INTERNAL"  # type: ignore[attr-defined]
    incident = error.value.details().split()[-1]  # type: ignore[attr-defined]
    assert f"error {incident}: ModelInfer" in capfd.readouterr().err


def test_an_answer_names_what_computed_it(served: Running) -> None:
    answer = ask(served, "ModelInfer", request(inputs_of(served.folder), id="7"))
    assert (answer.id, answer.model_name, answer.model_version) == ("7", "shop", served.server.service.bundle.version)
    assert len(ask(served, "ModelInfer", request(inputs_of(served.folder))).id) == 32
