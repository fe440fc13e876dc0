"""Compressed bodies are read within the same limits as others."""

import asyncio
import gzip
import zlib
from typing import Any

import pytest
from starlette.requests import Request

from recsys.errors import DataError, RecsysError
from recsys.serving.server.bodies import read_body
from recsys.serving.server.refusals import Refusal, TooLarge, TooSlow

MANY = gzip.compress(bytes(10_000_000))


def read(chunks: list[bytes], *, encoding: str = "", max_bytes: int = 100, seconds: float = 5.0) -> bytes:
    """Read a body that comes in some chunks, and never ends if there is none."""
    coming = iter(chunks)

    async def receive() -> dict[str, Any]:
        if not chunks:
            await asyncio.sleep(60)
        chunk = next(coming)
        return {"type": "http.request", "body": chunk, "more_body": chunk is not chunks[-1]}

    headers = [(b"content-encoding", encoding.encode())] if encoding else []
    scope = {"type": "http", "method": "POST", "headers": headers}
    return asyncio.run(read_body(Request(scope, receive), max_bytes=max_bytes, seconds=seconds))


@pytest.mark.parametrize(("encoding", "compress"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
def test_compressed_bodies_are_read(encoding: str, compress: Any) -> None:
    assert read([compress(b"hello")[:5], compress(b"hello")[5:]], encoding=encoding) == b"hello"
    assert read([b"hel", b"lo"]) == b"hello"


@pytest.mark.parametrize(
    ("chunks", "encoding", "kind", "problem"),
    [
        ([b"a" * 60, b"b" * 60], "", TooLarge, "may have 100 bytes"),
        ([MANY], "gzip", TooLarge, "may have 20000 bytes"),
        ([b"hello"], "gzip", DataError, "the body is no gzip data"),
        ([gzip.compress(b"hello")[:-1]], "gzip", DataError, "the gzip data of the body has no end"),
        ([b"hello"], "br", Refusal, "Content-Encoding must be gzip, deflate or identity, got 'br'"),
        ([], "", TooSlow, "has not come within 0.05 seconds"),
    ],
)
def test_a_body_that_cannot_be_read_is_refused(
    chunks: list[bytes], encoding: str, kind: type[RecsysError], problem: str
) -> None:
    limit = 20_000 if chunks == [MANY] else 100
    with pytest.raises(kind, match=problem):
        read(chunks, encoding=encoding, max_bytes=limit, seconds=5.0 if chunks else 0.05)
