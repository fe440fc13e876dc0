"""`recsys rank`."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from recsys.errors import DataError

__all__ = ["rank", "rank_request"]


def rank(
    bundle: Annotated[Path, typer.Argument(help="A folder written by `recsys export`.", show_default=False)],
    request: Annotated[
        Path,
        typer.Argument(
            help="JSON file with the user and the candidates; - for standard input.",
            show_default=False,
        ),
    ],
    top: Annotated[int | None, typer.Option(help="Print only this many.", min=1)] = None,
) -> None:
    """Score the candidates of one user, and print them as JSON, one a line, the best first.

    The request is `{"user": {...}, "candidates": [{...}, ...]}`: in `user` a value for each column of the user, in each
    candidate one for each other column, and whatever else is to be printed. With several tasks the first one decides.

    Example: `recsys rank bundle/ request.json --top 10`
    """
    from recsys.api.bundle import Bundle

    content = sys.stdin.buffer.read() if str(request) == "-" else request.read_bytes()
    try:
        ranked = rank_request(Bundle(bundle), content)
    except DataError as error:
        raise DataError(f"{request}: {error}") from error
    for candidate in ranked[:top]:
        print(json.dumps(candidate, ensure_ascii=False))


def rank_request(bundle: Any, content: bytes) -> list[dict[str, Any]]:
    """Return the candidates of a request with their scores, the best first.

    Args:
        bundle: a `recsys.Bundle`.
        content: JSON with the user and the candidates.

    Raises:
        DataError: the request does not fit, or a candidate has a key with the name of a score.
    """
    import polars as pl

    from recsys.serving.protocol.rest import parse_json
    from recsys.serving.protocol.rows import read_ranking

    request = parse_json(content)
    _, rows = read_ranking(request, bundle.user_columns, bundle.candidate_columns)
    clash = next((name for one in request["candidates"] for name in bundle.score_columns if name in one), None)
    if clash is not None:
        raise DataError(f"candidates: column {clash!r} has the name of a score")
    numbered = rows.candidates.with_columns(pl.int_range(pl.len()).alias(""))  # also where no column is a candidate's
    ranked = bundle.rank(rows.user, numbered)
    scores = ranked.select(bundle.score_columns).to_dicts()
    return [{**one, **request["candidates"][row]} for row, one in zip(ranked[""], scores, strict=True)]
