"""The server over gRPC: the six methods of the Open Inference Protocol."""

import traceback
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import grpc
from google.protobuf.message import DecodeError

from recsys.console import log
from recsys.errors import DataError
from recsys.serving.protocol.messages import METHODS, SERVICE, message_class, read_request, write_answer
from recsys.serving.protocol.request import new_id
from recsys.serving.server.refusals import Refusal
from recsys.serving.server.service import Service

__all__ = ["grpc_server"]

Method: TypeAlias = Callable[[Any], Awaitable[Any]]


def grpc_server(service: Service) -> Any:
    """Return a `grpc.aio` server that answers for a service; it has no port yet."""
    methods = _Methods(service)
    handlers = {
        name: grpc.unary_unary_rpc_method_handler(
            _answering(service, name, getattr(methods, name)),
            response_serializer=message_class(f"{name}Response").SerializeToString,
        )
        for name in METHODS
    }
    options = [("grpc.max_receive_message_length", service.limits.max_body_bytes), ("grpc.so_reuseport", 0)]
    server = grpc.aio.server(options=options)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    return server


class _Methods:
    """One function for each method, by its name."""

    def __init__(self, service: Service) -> None:
        self.service = service

    async def ServerLive(self, request: Any) -> Any:  # noqa: N802 - the protocol's name, as those below
        del request
        return message_class("ServerLiveResponse")(live=True)

    async def ServerReady(self, request: Any) -> Any:  # noqa: N802
        del request
        return message_class("ServerReadyResponse")(ready=not self.service.is_draining)

    async def ModelReady(self, request: Any) -> Any:  # noqa: N802
        self.service.check_model(request.name, request.version)
        return message_class("ModelReadyResponse")(ready=not self.service.is_draining)

    async def ServerMetadata(self, request: Any) -> Any:  # noqa: N802
        del request
        return message_class("ServerMetadataResponse")(**self.service.server_metadata())

    async def ModelMetadata(self, request: Any) -> Any:  # noqa: N802
        self.service.check_model(request.name, request.version)
        return message_class("ModelMetadataResponse")(**self.service.model_metadata())

    async def ModelInfer(self, request: Any) -> Any:  # noqa: N802
        self.service.check_model(request.model_name, request.model_version)
        with self.service.metrics.timed("grpc"):
            answer, wanted = await self.service.infer(read_request(request))
            return write_answer(answer, wanted)


def _answering(service: Service, name: str, method: Method) -> Callable[[Any, Any], Awaitable[Any]]:
    """Return a method that answers errors with their codes, too, and counts requests for scores."""

    async def answer(request: bytes, context: Any) -> Any:
        code, message = "OK", ""
        try:
            with service.metrics.in_flight.track_inprogress():
                return await method(message_class(f"{name}Request").FromString(request))
        except Refusal as error:
            code, message = error.code, str(error)
        except DataError as error:
            code, message = "INVALID_ARGUMENT", str(error)
        except DecodeError:
            code, message = "INVALID_ARGUMENT", f"the message is no {name}Request"
        except Exception:
            code, incident = "INTERNAL", new_id()
            message = f"the server failed; its log says more under {incident}"
            log(f"error {incident}: {name}\n{traceback.format_exc()}", style="red")
        finally:
            if name == "ModelInfer":
                service.metrics.requests.labels("grpc", code).inc()
        return await context.abort(grpc.StatusCode[code], message)

    return answer
