"""The messages of the Open Inference Protocol over gRPC, and what they hold.

They are declared here, in a pool of their own, and not generated: generated code is tied to releases of protobuf, and
two libraries in one process that declare the same messages (a client's, say) refuse each other.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from recsys.errors import DataError
from recsys.serving.protocol.request import Answer, InferRequest, WantedOutput, new_id
from recsys.serving.protocol.tensors import REQUEST, WireTensor, from_contents, from_raw

__all__ = ["METHODS", "SERVICE", "message_class", "read_request", "write_answer"]

PACKAGE: Final = "inference"
SERVICE: Final = "inference.GRPCInferenceService"
METHODS: Final = ("ServerLive", "ServerReady", "ModelReady", "ServerMetadata", "ModelMetadata", "ModelInfer")
"""Methods of the service; METHOD takes a METHODRequest and gives a METHODResponse."""

_MODEL = "name:string version:string"
_TENSOR = "name:string datatype:string shape:int64* parameters:InferParameter{} contents:InferTensorContents"
_FIELDS: Final[Mapping[str, str]] = {
    "ServerLiveRequest": "",
    "ServerLiveResponse": "live:bool",
    "ServerReadyRequest": "",
    "ServerReadyResponse": "ready:bool",
    "ModelReadyRequest": _MODEL,
    "ModelReadyResponse": "ready:bool",
    "ServerMetadataRequest": "",
    "ServerMetadataResponse": "name:string version:string extensions:string*",
    "ModelMetadataRequest": _MODEL,
    "ModelMetadataResponse": "name:string versions:string* platform:string "
    "inputs:.TensorMetadata* outputs:.TensorMetadata*",
    "ModelMetadataResponse.TensorMetadata": "name:string datatype:string shape:int64*",
    "ModelInferRequest": "model_name:string model_version:string id:string parameters:InferParameter{} "
    "inputs:.InferInputTensor* outputs:.InferRequestedOutputTensor* raw_input_contents:bytes*",
    "ModelInferRequest.InferInputTensor": _TENSOR,
    "ModelInferRequest.InferRequestedOutputTensor": "name:string parameters:InferParameter{}",
    "ModelInferResponse": "model_name:string model_version:string id:string parameters:InferParameter{} "
    "outputs:.InferOutputTensor* raw_output_contents:bytes*",
    "ModelInferResponse.InferOutputTensor": _TENSOR,
    "InferParameter": "bool_param:bool| int64_param:int64| string_param:string| "
    "double_param:double| uint64_param:uint64|",
    "InferTensorContents": "bool_contents:bool* int_contents:int32* int64_contents:int64* uint_contents:uint32* "
    "uint64_contents:uint64* fp32_contents:float* fp64_contents:double* bytes_contents:bytes*",
}
"""Message -> its fields, numbered from 1. `*` is repeated, `{}` a map from texts, `|` one of several; a type that
begins with a dot is declared in the message."""
_CONTENTS: Final[Mapping[str, str]] = {
    "BOOL": "bool_contents",
    "INT64": "int64_contents",
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
    **dict.fromkeys(("INT8", "INT16", "INT32"), "int_contents"),
    **dict.fromkeys(("UINT8", "UINT16", "UINT32"), "uint_contents"),
}
"""Datatype -> field of InferTensorContents."""
_Field: Final = descriptor_pb2.FieldDescriptorProto


def _add_fields(message: Any, full_name: str, fields: str) -> None:
    """Declare the fields of one message, as `_FIELDS` writes them."""
    for number, text in enumerate(fields.split(), start=1):
        name, _, kind = text.partition(":")
        field = message.field.add(name=name, number=number, label=_Field.LABEL_OPTIONAL)
        if kind.endswith("|"):
            field.oneof_index = 0
            if not message.oneof_decl:
                message.oneof_decl.add(name="parameter_choice")
        elif kind.endswith(("*", "{}")):
            field.label = _Field.LABEL_REPEATED
        if kind.endswith("{}"):
            kind = _add_map(message, full_name, name, kind.removesuffix("{}"))
        _set_type(field, full_name, kind.rstrip("*|"))


def _add_map(message: Any, full_name: str, name: str, kind: str) -> str:
    """Declare the entries of a map from texts, and return their type: that is what a map is on the wire."""
    entry = message.nested_type.add(name=f"{name.title()}Entry")
    entry.options.map_entry = True
    _add_fields(entry, f"{full_name}.{entry.name}", f"key:string value:{kind}")
    return f".{entry.name}"


def _set_type(field: Any, full_name: str, kind: str) -> None:
    if kind[0].islower():
        field.type = getattr(_Field, f"TYPE_{kind.upper()}")
    else:
        field.type = _Field.TYPE_MESSAGE
        field.type_name = f".{PACKAGE}.{full_name}{kind}" if kind.startswith(".") else f".{PACKAGE}.{kind}"


def _classes() -> dict[str, Any]:
    """Return the class of each message."""
    file = descriptor_pb2.FileDescriptorProto(name="open_inference.proto", package=PACKAGE, syntax="proto3")
    declared: dict[str, Any] = {}
    for full_name, fields in _FIELDS.items():
        outer, _, name = full_name.rpartition(".")
        declared[full_name] = declared[outer].nested_type.add(name=name) if outer else file.message_type.add(name=name)
        _add_fields(declared[full_name], full_name, fields)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{PACKAGE}.{name}")) for name in _FIELDS}


_CLASSES: Final = _classes()


def message_class(name: str) -> Any:
    """Return the class of a message, such as "ModelInferRequest".

    >>> request = message_class("ModelInferRequest")(model_name="shop", id="7")
    >>> message_class("ModelInferRequest").FromString(request.SerializeToString()).id
    '7'
    """
    return _CLASSES[name]


def read_request(message: Any) -> InferRequest:
    """Return what a ModelInferRequest asks for.

    Raises:
        DataError: an input does not fit; the message names it.
    """
    if not message.raw_input_contents:
        tensors = [_from_contents(tensor) for tensor in message.inputs]
    elif len(message.raw_input_contents) != len(message.inputs):
        promised = f"raw_input_contents must have one entry for each of {len(message.inputs)} inputs"
        raise DataError(f"{promised}, got {len(message.raw_input_contents)}")
    else:
        pairs = zip(message.inputs, message.raw_input_contents, strict=True)
        tensors = [from_raw(tensor.name, tensor.datatype, tensor.shape, raw) for tensor, raw in pairs]
    wanted = [WantedOutput(output.name, is_binary=True) for output in message.outputs]
    return InferRequest(message.id or new_id(), tensors, wanted, is_binary=True)


def _from_contents(tensor: Any) -> WireTensor:
    field = _CONTENTS.get(tensor.datatype)
    if field is None:
        raise REQUEST.column(tensor.name, f"datatype must be one of {', '.join(_CONTENTS)}, got {tensor.datatype!r}")
    return from_contents(tensor.name, tensor.datatype, tensor.shape, getattr(tensor.contents, field))


def write_answer(answer: Answer, outputs: Sequence[WantedOutput]) -> Any:
    """Return a ModelInferResponse, its scores as raw bytes."""
    response = _CLASSES["ModelInferResponse"](
        model_name=answer.model_name, model_version=answer.model_version, id=answer.id
    )
    for output in outputs:
        scores = np.ascontiguousarray(answer.scores[output.name], "<f8")
        response.outputs.add(name=output.name, datatype="FP64", shape=[len(scores)])
        response.raw_output_contents.append(scores.tobytes())
    return response
