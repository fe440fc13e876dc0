"""Bodies of HTTP requests, read within limits of size and time."""

import asyncio
import zlib
from collections.abc import AsyncIterator

from starlette.requests import Request

from recsys.errors import DataError
from recsys.serving.server.refusals import Refusal, TooLarge, TooSlow

__all__ = ["read_body"]

_WINDOWS = {"gzip": 31, "deflate": 15}
"""zlib's codes of the two formats."""


async def read_body(request: Request, *, max_bytes: int, seconds: float) -> bytes:
    """Return the body of a request, decompressed.

    Raises:
        TooLarge: it is larger than `max_bytes`, or its header says so.
        TooSlow: it has not come in time.
        DataError: it is not compressed as its header says.
    """
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > max_bytes:
        raise _too_large(max_bytes)
    try:
        async with asyncio.timeout(seconds):
            body = await _collect(request.stream(), max_bytes)
    except TimeoutError:
        raise TooSlow(f"the body of the request has not come within {seconds:g} seconds") from None
    return _decompressed(body, request.headers.get("content-encoding", "identity"), max_bytes)


async def _collect(chunks: AsyncIterator[bytes], max_bytes: int) -> bytes:
    found, num_bytes = [], 0
    async for chunk in chunks:
        num_bytes += len(chunk)
        if num_bytes > max_bytes:
            raise _too_large(max_bytes)
        found.append(chunk)
    return b"".join(found)


def _decompressed(body: bytes, encoding: str, max_bytes: int) -> bytes:
    if encoding.lower() == "identity":
        return body
    if encoding.lower() not in _WINDOWS:
        raise Refusal(f"Content-Encoding must be gzip, deflate or identity, got {encoding!r:.60}")
    decompressor = zlib.decompressobj(_WINDOWS[encoding.lower()])
    try:
        found = decompressor.decompress(body, max_bytes + 1)
    except zlib.error:
        raise DataError(f"the body is no {encoding.lower()} data") from None
    if len(found) > max_bytes:
        raise _too_large(max_bytes)
    if not decompressor.eof:
        raise DataError(f"the {encoding.lower()} data of the body has no end")
    return found


def _too_large(max_bytes: int) -> TooLarge:
    return TooLarge(f"the body of a request may have {max_bytes} bytes; send several requests")
