"""Clients that are slow, go away or send too much harm nobody else."""

import contextlib
import json
import resource
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.serving.server.running import ROWS, Running, call, running

pytestmark = pytest.mark.slow

BODY = json.dumps({"rows": ROWS[:1].to_dicts()}).encode()
HEAD = b"POST /score HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"


@contextmanager
def connection(served: Running, content: bytes) -> Iterator[socket.socket]:
    host, _, port = served.server.http_address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=20) as found:
        found.sendall(content)
        yield found


def read_all(one: socket.socket) -> bytes:
    """Return all that comes until the other side closes."""
    found = b""
    while content := one.recv(65536):
        found += content
    return found


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"", b""),
        (b"POST /score HT", b""),
        (HEAD % len(BODY), b"HTTP/1.1 408"),
        (HEAD % len(BODY) + BODY[:-1], b"HTTP/1.1 408"),
        (b"POST /score HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{", b"HTTP/1.1 408"),
        (b"\0\1\2\r\n\r\n", b"HTTP/1.1 400"),
    ],
)
def test_half_a_request_ends_in_time_while_others_are_answered(shop: Path, content: bytes, status: bytes) -> None:
    with running(shop, body_seconds=0.5) as served, connection(served, content) as slow:
        assert call(f"{served.url}/score", BODY).status == 200
        start = time.monotonic()
        assert read_all(slow)[: len(status) or None] == status
        assert time.monotonic() - start < 5


def test_half_a_second_request_on_a_connection_ends_in_time_too(shop: Path) -> None:
    with running(shop, body_seconds=0.5) as served, connection(served, HEAD % len(BODY) + BODY) as slow:
        assert slow.recv(65536).startswith(b"HTTP/1.1 200")
        slow.sendall(b"POST /sc")
        start = time.monotonic()
        assert b"HTTP/1.1" not in read_all(slow)
        assert time.monotonic() - start < 5


def test_answers_are_sent_without_waiting_for_more(served: Running) -> None:
    """A head and a body in two packets take 40 ms where Nagle's algorithm meets delayed acknowledgements."""
    with connection(served, HEAD % len(BODY) + BODY) as one:
        assert one.recv(65536).startswith(b"HTTP/1.1 200")
        [*opened] = served.server._http.server_state.connections
        sockets = [found.transport.get_extra_info("socket") for found in opened]
        assert sockets
        assert all(found.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) for found in sockets)


def test_many_connections_that_say_nothing_leave_room_for_others(served: Running) -> None:
    with ExitStack() as opened:
        for _ in range(200):
            opened.enter_context(connection(served, b"POST /score HTTP/1.1\r\n"))
        assert call(f"{served.url}/score", BODY).status == 200


def test_a_body_that_is_far_too_large_is_refused_before_it_comes(served: Running) -> None:
    with connection(served, HEAD % (200 * 2**20) + b"{") as large:
        answer = read_all(large)
    assert answer.startswith(b"HTTP/1.1 413")
    assert b"the body of a request may have 8388608 bytes" in answer


def test_a_body_that_says_no_size_is_refused_when_it_is_too_large(shop: Path) -> None:
    head = b"POST /score HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    with running(shop, max_body_bytes=10_000) as served, connection(served, head) as large:
        large.sendall(b"2710\r\n" + b" " * 10_000 + b"\r\n2710\r\n" + b" " * 10_000 + b"\r\n")
        assert read_all(large).startswith(b"HTTP/1.1 413")


def test_two_hundred_megabytes_that_are_sent_anyhow_are_neither_read_nor_kept(served: Running) -> None:
    head, part = b"POST /rank HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", b" " * 2**20
    before, sent = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, 0
    with connection(served, head) as large, contextlib.suppress(ConnectionError):
        while sent < 200:
            large.sendall(b"100000\r\n" + part + b"\r\n")
            sent += 1
    assert sent < 100, "the server read on"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024
    assert call(f"{served.url}/score", BODY).status == 200


def test_a_client_that_goes_away_in_the_middle_harms_nobody(served: Running, capfd: pytest.CaptureFixture[str]) -> None:
    for end in (1, len(BODY) // 2, len(BODY)):
        with connection(served, HEAD % len(BODY) + BODY[:end]):
            pass
    assert call(f"{served.url}/score", BODY).status == 200
    assert "Traceback" not in capfd.readouterr().err
