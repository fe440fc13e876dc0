"""The messages over gRPC: what they hold is read as that of a body over REST."""

from typing import Any

import numpy as np
import pytest
from google.protobuf import descriptor_pb2

from recsys.errors import DataError
from recsys.serving.protocol.messages import METHODS, message_class, read_request, write_answer
from recsys.serving.protocol.request import Answer, WantedOutput


def request(**inputs: tuple[str, str, list[Any]]) -> Any:
    message = message_class("ModelInferRequest")()
    for name, (datatype, field, values) in inputs.items():
        tensor = message.inputs.add(name=name, datatype=datatype, shape=[len(values)])
        getattr(tensor.contents, field).extend(values)
    return message


CONTENTS = {
    "INT64": ("int64_contents", [1, -(2**63)]),
    "UINT64": ("uint64_contents", [1, 2**64 - 1]),
    "INT8": ("int_contents", [1, -128]),
    "UINT32": ("uint_contents", [1, 2**32 - 1]),
    "FP32": ("fp32_contents", [0.5, 2]),
    "FP64": ("fp64_contents", [0.1, 2]),
    "BOOL": ("bool_contents", [True, False]),
}


@pytest.mark.parametrize("datatype", CONTENTS)
def test_each_datatype_has_a_field_of_its_own(datatype: str) -> None:
    field, values = CONTENTS[datatype]
    message = message_class("ModelInferRequest").FromString(request(x=(datatype, field, values)).SerializeToString())
    assert read_request(message).tensors[0].values.tolist() == values


def test_texts_and_raw_contents_are_read() -> None:
    assert read_request(request(x=("BYTES", "bytes_contents", [b"a", b""]))).tensors[0].values == ["a", ""]
    message = message_class("ModelInferRequest")(id="7", outputs=[{"name": "score.buy"}])
    message.inputs.add(name="x", datatype="FP64", shape=[2])
    message.raw_input_contents.append(np.array([0.5, 2]).tobytes())
    found = read_request(message)
    assert (found.id, found.tensors[0].values.tolist()) == ("7", [0.5, 2])
    assert [output.name for output in found.outputs] == ["score.buy"]


@pytest.mark.parametrize(
    ("message", "problem"),
    [
        (request(x=("FP16", "fp32_contents", [1])), "column x: datatype must be one of"),
        (request(x=("INT8", "int_contents", [128])), "column x: expected -128 to 127, got 128"),
        (request(x=("INT64", "int_contents", [128])), r"column x: shape \[1\] promises 1 values, contents have 0"),
        (request(x=("BYTES", "bytes_contents", [b"\xff"])), "column x: expected UTF-8 text"),
    ],
)
def test_contents_that_do_not_fit_are_named(message: Any, problem: str) -> None:
    with pytest.raises(DataError, match=problem):
        read_request(message)


def test_raw_contents_must_be_those_of_all_inputs() -> None:
    message = request(x=("INT64", "int64_contents", [1]), y=("INT64", "int64_contents", [1]))
    message.raw_input_contents.append(bytes(8))
    with pytest.raises(DataError, match="raw_input_contents must have one entry for each of 2 inputs, got 1"):
        read_request(message)


def test_an_answer_has_the_scores_as_raw_bytes() -> None:
    answer = Answer("7", "shop", "v1", {"score.click": np.array([0.25, 0.75])})
    message = write_answer(answer, [WantedOutput("score.click")])
    assert (message.id, message.model_name, message.model_version) == ("7", "shop", "v1")
    assert (message.outputs[0].name, message.outputs[0].datatype, list(message.outputs[0].shape)) == (
        "score.click",
        "FP64",
        [2],
    )
    assert np.frombuffer(message.raw_output_contents[0]).tolist() == [0.25, 0.75]


def fields_of(descriptor: Any) -> dict[str, Any]:
    """Return number, type and repetition of each field, those of messages in it included."""
    declared = descriptor_pb2.DescriptorProto()
    descriptor.CopyToProto(declared)
    own = {field.name: (field.number, field.type, field.label) for field in declared.field}
    inner = {field.name: fields_of(field.message_type) for field in descriptor.fields if field.message_type}
    return own | {f"{name}.": fields for name, fields in inner.items()}


@pytest.mark.parametrize("name", [f"{method}{kind}" for method in METHODS for kind in ("Request", "Response")])
def test_messages_are_those_that_public_clients_send(name: str) -> None:
    """Both are in one process here, which generated code of two packages could not be."""
    service = pytest.importorskip("tritonclient.grpc.service_pb2")
    assert fields_of(message_class(name).DESCRIPTOR) == fields_of(getattr(service, name).DESCRIPTOR)
