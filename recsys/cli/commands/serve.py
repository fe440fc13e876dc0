"""`recsys serve`."""

import os
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["serve"]


def serve(
    bundle: Annotated[Path, typer.Argument(help="A folder written by `recsys export`.", show_default=False)],
    port: Annotated[int, typer.Option(help="Port for HTTP; 0 is any that is free.", min=0, max=65535)] = 8080,
    grpc_port: Annotated[
        int | None, typer.Option(help="Port for gRPC, beside HTTP; without it there is none.", min=0, max=65535)
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 for all of this machine.")] = "127.0.0.1",
    name: Annotated[
        str | None, typer.Option(help="Name of the model in requests; by default that of the folder.")
    ] = None,
    threads: Annotated[int | None, typer.Option(help="Threads of the model; by default all cores.", min=1)] = None,
    max_rows: Annotated[int, typer.Option(help="Rows that a request may have.", min=1)] = 4096,
    max_body: Annotated[int, typer.Option(help="MiB that a request may have.", min=1)] = 8,
    max_waiting: Annotated[
        int, typer.Option(help="Requests that may wait; others are told to come back in a second.", min=1)
    ] = 512,
) -> None:
    """Answer requests for scores: Open Inference Protocol over REST and gRPC, plain JSON rows, Prometheus metrics.

    A new bundle in the same place is checked and takes over; SIGTERM ends it when all is answered.

    Example: `recsys serve bundle/ --port 8080 --grpc-port 8081`
    """
    # Before Polars is imported, which reads it then: to share out the few rows of a request takes longer than the work.
    os.environ.setdefault("POLARS_MAX_THREADS", "1")
    from recsys.serving.server.options import Limits, ServeOptions
    from recsys.serving.server.start import start

    limits = Limits(max_rows=max_rows, max_body_bytes=max_body * 2**20, max_waiting=max_waiting)
    start(
        bundle,
        ServeOptions(host=host, port=port, grpc_port=grpc_port, name=name, threads=threads, limits=limits),
    )
