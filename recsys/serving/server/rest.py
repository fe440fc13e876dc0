"""The server over HTTP: the Open Inference Protocol, plain JSON rows, figures, and pages that explain them."""

import json
import traceback
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from recsys.console import log
from recsys.errors import DataError
from recsys.serving.protocol.request import new_id
from recsys.serving.protocol.rest import parse_json, read_request, write_answer
from recsys.serving.protocol.rows import write_scores
from recsys.serving.server.bodies import read_body
from recsys.serving.server.openapi import openapi, page
from recsys.serving.server.refusals import Refusal, error_content
from recsys.serving.server.service import Service

__all__ = ["rest_app"]

HEADER_LENGTH = "Inference-Header-Content-Length"
Handler: TypeAlias = Callable[[Request], Awaitable[Response]]


def rest_app(service: Service) -> Starlette:
    """Return the application that answers for a service."""
    handlers = _Handlers(service)
    model = "/v2/models/{name}"
    routes = [("GET", path, handlers.metadata) for path in ("/v2", "/v2/")]
    routes += [("GET", "/v2/health/live", handlers.live), ("GET", "/v2/health/ready", handlers.ready)]
    for path in (model, f"{model}/versions/{{version}}"):
        routes += [
            ("GET", path, handlers.model_metadata),
            ("GET", f"{path}/ready", handlers.model_ready),
            ("POST", f"{path}/infer", handlers.infer),
        ]
    routes += [
        ("POST", "/score", handlers.score),
        ("POST", "/rank", handlers.rank),
        ("GET", "/signature.json", handlers.signature),
        ("GET", "/openapi.json", handlers.openapi),
        ("GET", "/", handlers.page),
        ("GET", "/metrics", handlers.metrics),
    ]
    return Starlette(
        routes=[Route(path, _answering(service, handler), methods=[method]) for method, path, handler in routes],
        exception_handlers={404: _no_route, 405: _no_route},
    )


class _Handlers:
    """One function for each kind of request."""

    def __init__(self, service: Service) -> None:
        self.service = service

    async def live(self, request: Request) -> Response:
        del request
        return _json({"live": True})

    async def ready(self, request: Request) -> Response:
        del request
        return self._readiness()

    async def model_ready(self, request: Request) -> Response:
        self.service.check_model(**request.path_params)
        return self._readiness()

    def _readiness(self) -> Response:
        is_ready = not self.service.is_draining
        return _json({"ready": is_ready}, status=200 if is_ready else 503)

    async def metadata(self, request: Request) -> Response:
        del request
        return _json(self.service.server_metadata())

    async def model_metadata(self, request: Request) -> Response:
        self.service.check_model(**request.path_params)
        return _json(self.service.model_metadata())

    async def infer(self, request: Request) -> Response:
        self.service.check_model(**request.path_params)
        body = await self._body(request)
        with self.service.metrics.timed("rest"):
            asked = read_request(body, _header_length(request))
            answer, wanted = await self.service.infer(asked)
            content, header_length = write_answer(answer, wanted)
        if header_length is None:
            return Response(content, media_type="application/json")
        headers = {HEADER_LENGTH: str(header_length)}
        return Response(content, media_type="application/octet-stream", headers=headers)

    async def score(self, request: Request) -> Response:
        body = await self._body(request)
        with self.service.metrics.timed("rows"):
            return _json(write_scores(await self.service.score_rows(parse_json(body))))

    async def rank(self, request: Request) -> Response:
        body = await self._body(request)
        with self.service.metrics.timed("rank"):
            return _json(write_scores(await self.service.rank(parse_json(body))))

    async def _body(self, request: Request) -> bytes:
        limits = self.service.limits
        return await read_body(request, max_bytes=limits.max_body_bytes, seconds=limits.body_seconds)

    async def signature(self, request: Request) -> Response:
        del request
        return _json(self.service.bundle.scorer.signature)

    async def openapi(self, request: Request) -> Response:
        del request
        return _json(openapi(self.service))

    async def page(self, request: Request) -> Response:
        return Response(page(self.service, str(request.base_url)), media_type="text/html")

    async def metrics(self, request: Request) -> Response:
        del request
        return Response(self.service.metrics.page(), media_type="text/plain; version=0.0.4; charset=utf-8")


def _answering(service: Service, handler: Handler) -> Handler:
    """Return a handler that answers errors, too, and counts requests for scores."""

    async def answer(request: Request) -> Response:
        with service.metrics.in_flight.track_inprogress():
            response = await _answer(handler, request)
        if service.is_draining:
            response.headers["Connection"] = "close"
        if request.method == "POST":
            transport = {"/score": "rows", "/rank": "rank"}.get(request.url.path, "rest")
            service.metrics.requests.labels(transport, response.status_code).inc()
        return response

    return answer


async def _answer(handler: Handler, request: Request) -> Response:
    try:
        return await handler(request)
    except ClientDisconnect:
        return _json({"error": "the client has gone"}, status=400)
    except Refusal as error:
        return _json(error_content(error), status=error.status, headers=error.headers)
    except DataError as error:
        return _json(error_content(error), status=400)
    except Exception:
        incident = new_id()
        log(f"error {incident}: {request.method} {request.url.path}\n{traceback.format_exc()}", style="red")
        return _json({"error": f"the server failed; its log says more under {incident}"}, status=500)


async def _no_route(request: Request, error: Exception) -> Response:
    status = getattr(error, "status_code", 404)
    known = "GET / lists what there is"
    return _json({"error": f"there is no {request.method} {request.url.path:.200}; {known}"}, status=status)


def _header_length(request: Request) -> int | None:
    text = request.headers.get(HEADER_LENGTH)
    if text is None:
        return None
    if not text.isdecimal() or len(text) > 12:
        raise DataError(f"{HEADER_LENGTH} must be a number of bytes, got {text!r:.60}")
    return int(text)


def _json(content: Any, *, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    body = json.dumps(content).encode()
    return Response(body, status_code=status, headers=headers, media_type="application/json")
