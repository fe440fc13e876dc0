"""The way into the server, which says what to install where its packages are missing."""

from importlib import import_module
from pathlib import Path

from recsys.errors import RecsysError
from recsys.serving.server.options import ServeOptions

__all__ = ["start"]

NEEDED = ("starlette", "uvicorn", "grpc", "google.protobuf", "prometheus_client")


def start(folder: Path, options: ServeOptions) -> None:
    """Serve a bundle; see `recsys.serving.server.run.serve`.

    Raises:
        RecsysError: a package of the extra `serve` is missing.
    """
    for name in NEEDED:
        try:
            import_module(name)
        except ModuleNotFoundError as error:
            raise RecsysError(f"recsys serve needs {name}: pip install 'recsys[serve]'") from error
    from recsys.serving.server.run import serve

    serve(folder, options)
