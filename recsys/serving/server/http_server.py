"""uvicorn within an event loop of ours: our signals, and an end to connections that send no request."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from recsys.errors import RecsysError
from recsys.serving.server.options import Limits

__all__ = ["HttpServer", "listen"]

BACKLOG = 2048


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that is bound to an address; port 0 is any that is free.

    Raises:
        RecsysError: it is taken, or not of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With its protocol named: asyncio turns Nagle's algorithm off for no other, and then an answer takes 40 ms more.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        reason = error.strerror or error
        raise RecsysError(
            f"{host}:{port}: cannot be listened on ({reason}); name another by --host or --port"
        ) from error
    return listener


class HttpServer(uvicorn.Server):
    """A server for one application, whose signals are handled elsewhere.

    Args:
        app: the ASGI application.
        limits: how long a request may take to come, and to be answered at the end.
    """

    def __init__(self, app: Any, limits: Limits) -> None:
        protocol = type("Protocol", (_Protocol,), {"head_seconds": limits.body_seconds})
        super().__init__(
            uvicorn.Config(
                app,
                http=protocol,
                ws="none",
                lifespan="off",
                log_config=None,
                log_level="critical",
                access_log=False,
                server_header=False,
                timeout_keep_alive=75,
                timeout_graceful_shutdown=int(limits.answer_seconds),
                backlog=BACKLOG,
            )
        )

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone."""
        yield

    def stop_listening(self) -> None:
        """Take no more connections; those that there are go on."""
        for server in self.servers:
            server.close()


class _Protocol(H11Protocol):
    """A connection that is closed if the head of its next request does not come in time."""

    head_seconds: float
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._deadline = self.loop.call_later(self.head_seconds, self._close_if_idle)

    def data_received(self, data: bytes) -> None:
        is_idle = self._is_idle()
        super().data_received(data)
        if not self._is_idle():
            self._forget_deadline()
        elif is_idle and self._deadline is None:
            self._deadline = self.loop.call_later(self.head_seconds, self._close_if_idle)

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget_deadline()
        super().connection_lost(exc)

    def _is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _close_if_idle(self) -> None:
        self._deadline = None
        if self._is_idle() and not self.transport.is_closing():
            self.transport.close()

    def _forget_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
