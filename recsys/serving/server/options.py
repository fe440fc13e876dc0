"""Options of a server: addresses, names and limits."""

from dataclasses import dataclass, field

__all__ = ["Limits", "ServeOptions"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """Sizes and times within which requests are answered."""

    max_rows: int = 4096
    """Rows of a request."""
    max_body_bytes: int = 8 * 2**20
    """Bytes of a request, after decompression."""
    max_waiting: int = 512
    """Requests that wait while the model scores; others are sent away with a time to come back."""
    max_merged: int = 16_384
    """Values (rows, and entries of lists) up to which requests are scored in one call."""
    body_seconds: float = 10.0
    """Time in which the head of a request must have come, and then its body."""
    drain_seconds: float = 1.0
    """Time in which new requests are still answered after SIGTERM, while load balancers learn of it."""
    answer_seconds: float = 30.0
    """Time that requests may take to be answered after that."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ServeOptions:
    """Address and name under which a bundle is served, and its limits."""

    host: str = "127.0.0.1"
    port: int = 8080
    grpc_port: int | None = None
    """None: no gRPC."""
    name: str | None = None
    """Name of the model; that of the bundle's folder if not given."""
    threads: int | None = None
    """Threads of one call of the model; torch's own choice if not given."""
    watch_seconds: float = 1.0
    """Time between two looks whether there is another bundle."""
    limits: Limits = field(default_factory=Limits)
