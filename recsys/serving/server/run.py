"""The server from start to end: open the bundle, listen, answer until a signal, and then what was asked before it."""

import asyncio
import os
import signal
from pathlib import Path
from typing import Any, Final

import torch

from recsys.console import log
from recsys.errors import RecsysError
from recsys.serving.server.grpc_service import grpc_server
from recsys.serving.server.http_server import HttpServer, listen
from recsys.serving.server.options import ServeOptions
from recsys.serving.server.reload import fingerprint, watch
from recsys.serving.server.rest import rest_app
from recsys.serving.server.served import ServedBundle
from recsys.serving.server.service import Service

__all__ = ["Server", "serve"]

LAST_CONNECTIONS_SECONDS: Final = 0.2
"""Time for requests on connections that were taken just before no more are."""


def serve(folder: Path, options: ServeOptions) -> None:
    """Serve a bundle until SIGTERM or Ctrl-C, and answer what was asked before.

    Raises:
        DataError: it is not a bundle, is damaged, or scores its golden rows differently.
        RecsysError: the address is taken.
        KeyboardInterrupt: Ctrl-C came; all is answered.
    """
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    if asyncio.run(_until_signalled(Server(folder, options))) == signal.SIGINT:
        raise KeyboardInterrupt


async def _until_signalled(server: "Server") -> signal.Signals:
    """Serve until a signal comes, drain, and return it; a second one ends the process at once."""
    signals: asyncio.Queue[signal.Signals] = asyncio.Queue()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, signals.put_nowait, number)
    await server.start()
    first = await signals.get()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, os._exit, 128 + number)
    await server.stop()
    return first


class Server:
    """A bundle with its listeners; lives in one event loop.

    Args:
        folder: the bundle.
        options: where and how to serve it.

    Raises:
        DataError: it is not a bundle, is damaged, or scores its golden rows differently.
    """

    def __init__(self, folder: Path, options: ServeOptions) -> None:
        self.options = options
        self._known = fingerprint(folder)
        bundle = ServedBundle(folder, max_rows=options.limits.max_rows)
        self.service = Service(options.name or folder.resolve().name, bundle, options.limits)
        self._http = HttpServer(rest_app(self.service), options.limits)
        self._grpc: Any = None
        self.http_address = self.grpc_address = ""

    async def start(self) -> None:
        """Listen.

        Raises:
            RecsysError: an address is taken.
        """
        listener = listen(self.options.host, self.options.port)
        self.http_address = f"{_host(self.options.host)}:{listener.getsockname()[1]}"
        if self.options.grpc_port is not None:
            await self._start_grpc(self.options.grpc_port)
        self._serving = asyncio.create_task(self._http.serve(sockets=[listener]))
        self._watching = asyncio.create_task(watch(self.service, self._known, seconds=self.options.watch_seconds))
        grpc = f", gRPC at {self.grpc_address}" if self.grpc_address else ""
        log(f"{self.service.name}, version {self.service.bundle.version}: http://{self.http_address}{grpc}")

    async def _start_grpc(self, port: int) -> None:
        self._grpc = grpc_server(self.service)
        address = f"{_host(self.options.host)}:{port}"
        try:
            bound = self._grpc.add_insecure_port(address)
        except RuntimeError as error:
            raise RecsysError(f"{address}: cannot be listened on; name another port by --grpc-port") from error
        await self._grpc.start()
        self.grpc_address = f"{_host(self.options.host)}:{bound}"

    async def stop(self) -> None:
        """Answer what is asked for a moment more, then only what was asked."""
        limits = self.options.limits
        self.service.is_draining = True
        log(f"{self.service.name}: no longer ready, answering what was asked")
        self._watching.cancel()
        await asyncio.sleep(limits.drain_seconds)
        self._http.stop_listening()
        await asyncio.sleep(LAST_CONNECTIONS_SECONDS)
        self._http.should_exit = True
        if self._grpc is not None:
            await self._grpc.stop(limits.answer_seconds)
        await self._serving
        self.service.batcher.close()
        log(f"{self.service.name}: ended, {self.service.metrics.answered():,} requests for scores were answered")


def _host(host: str) -> str:
    """Return a host as addresses write it."""
    return f"[{host}]" if ":" in host else host
