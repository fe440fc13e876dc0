"""Figures of the server for Prometheus."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

__all__ = ["Metrics"]

SECONDS = (0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
ROWS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)


class Metrics:
    """Counters of one server, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "recsys_requests",
            "Requests for scores that were answered.",
            ["transport", "status"],
            registry=self.registry,
        )
        self.seconds = Histogram(
            "recsys_request_seconds",
            "Time from the last byte of a request to its answer.",
            ["transport"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self.rows = Histogram("recsys_request_rows", "Rows of a request.", buckets=ROWS, registry=self.registry)
        self.calls = Counter(
            "recsys_model_calls", "Calls of the model; several requests may be merged into one.", registry=self.registry
        )
        self.waiting = Gauge("recsys_requests_waiting", "Requests in the queue.", registry=self.registry)
        self.in_flight = Gauge("recsys_requests_in_flight", "Requests without an answer yet.", registry=self.registry)
        self.reloads = Counter(
            "recsys_bundle_reloads",
            "Bundles that took the place of the served one.",
            ["result"],
            registry=self.registry,
        )
        self.bundle = Gauge("recsys_bundle", "The served bundle.", ["name", "version"], registry=self.registry)

    def show_bundle(self, name: str, version: str) -> None:
        """Say which bundle is served."""
        self.bundle.clear()
        self.bundle.labels(name, version).set(1)

    @contextmanager
    def timed(self, transport: str) -> Iterator[None]:
        """Time a request."""
        start = time.perf_counter()
        yield
        self.seconds.labels(transport).observe(time.perf_counter() - start)

    def answered(self) -> int:
        """Return the number of requests for scores that were answered, with scores or otherwise."""
        samples = [sample for metric in self.requests.collect() for sample in metric.samples]
        return int(sum(sample.value for sample in samples if sample.name.endswith("_total")))

    def page(self) -> bytes:
        """Return all figures in the text format of Prometheus."""
        return generate_latest(self.registry)
