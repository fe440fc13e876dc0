"""Reasons for which a request is not answered with scores; each has a status over REST and a code over gRPC."""

from typing import Any, ClassVar

from recsys.errors import DataError, RecsysError

__all__ = ["NotFound", "Overloaded", "Refusal", "TooLarge", "TooSlow", "error_content"]


class Refusal(RecsysError):  # noqa: N818 - no failure of the server
    """Base of what is wrong with a request beside its content (a DataError); the message is for the client."""

    status: ClassVar[int] = 400
    code: ClassVar[str] = "INVALID_ARGUMENT"
    headers: ClassVar[dict[str, str]] = {}


class NotFound(Refusal):
    """There is no model or version of that name."""

    status = 404
    code = "NOT_FOUND"


class TooLarge(Refusal):
    """The body is larger than the server takes."""

    status = 413
    code = "RESOURCE_EXHAUSTED"
    headers: ClassVar[dict[str, str]] = {"Connection": "close"}


class TooSlow(Refusal):
    """The body has not come in time."""

    status = 408
    code = "DEADLINE_EXCEEDED"
    headers: ClassVar[dict[str, str]] = {"Connection": "close"}


class Overloaded(Refusal):
    """The queue is full."""

    status = 503
    code = "RESOURCE_EXHAUSTED"
    headers: ClassVar[dict[str, str]] = {"Retry-After": "1"}


def error_content(error: RecsysError) -> dict[str, Any]:
    """Return what an answer says of an error: the protocol's `error`, and the place where there is one.

    >>> error_content(DataError("column price: expected a number", column="price", row=3))
    {'error': 'column price: expected a number', 'column': 'price', 'row': 3}
    """
    place = {"column": error.column, "row": error.row} if isinstance(error, DataError) else {}
    return {"error": str(error), **{key: value for key, value in place.items() if value is not None}}
