"""Plain JSON, for people without a client library: `{"rows": [{"user": 7, "item": "i3"}, ...]}`.

To rank candidates for one user, what says something of the user stands once: `{"user": {...}, "candidates": [{...}]}`.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import polars as pl

from recsys.errors import DataError
from recsys.serving.protocol.request import Answer, check_num_rows
from recsys.serving.protocol.rest import json_scores, request_id
from recsys.serving.protocol.tensors import REQUEST
from recsys.sources.json_rows import json_frame
from recsys.sources.location import RowLocation

__all__ = ["RankingRows", "read_ranking", "read_rows", "write_scores"]


class RankingRows(NamedTuple):
    """A user and the candidates, as raw columns."""

    user: pl.DataFrame
    """One row."""
    candidates: pl.DataFrame


def read_rows(content: dict[str, Any], columns: Sequence[str], *, max_rows: int) -> tuple[str, pl.DataFrame]:
    """Return the id of a request, and its rows as raw columns.

    Args:
        content: the body.
        columns: raw columns that the model reads.
        max_rows: the largest number of rows of a request.

    Raises:
        DataError: there are no rows, too many, or one does not fit; the message names the column and the row.
    """
    rows, found_id = content.get("rows"), request_id(content)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise DataError('rows: must be a list of objects with a value for each column, {"rows": [{...}, ...]}')
    check_num_rows(len(rows), max_rows)
    return found_id, json_frame(rows, columns, REQUEST)


def read_ranking(
    content: dict[str, Any],
    user_columns: Sequence[str],
    candidate_columns: Sequence[str],
    *,
    max_rows: int | None = None,
) -> tuple[str, RankingRows]:
    """Return the id of a request, and its user and candidates.

    Args:
        content: the body.
        user_columns: raw columns that `user` must have.
        candidate_columns: raw columns that each of `candidates` must have; others are not looked at.
        max_rows: the largest number of candidates of a request; any number if not given.

    Raises:
        DataError: there is no user, there are no or too many candidates, or a value does not fit; the message names the
            column, and the candidate as a row.
    """
    user, candidates, found_id = content.get("user", {}), content.get("candidates"), request_id(content)
    shape = '{"user": {...}, "candidates": [{...}, ...]}'
    if not isinstance(user, dict):
        raise DataError(f"user: must be an object with a value for each column of the user, {shape}")
    if not isinstance(candidates, list) or not all(isinstance(one, dict) for one in candidates):
        raise DataError(f"candidates: must be a list of objects with a value for each of their columns, {shape}")
    if max_rows is not None:
        check_num_rows(len(candidates), max_rows, what="candidates")
    of_user = _frame([user], user_columns, RowLocation("user"))
    return found_id, RankingRows(of_user, _frame(candidates, candidate_columns, REQUEST))


def _frame(rows: list[dict[str, Any]], columns: Sequence[str], location: RowLocation) -> pl.DataFrame:
    """Return rows as raw columns; if there are none, a column without meaning, which keeps their number."""
    return json_frame(rows, columns, location) if columns else pl.DataFrame({"": [None] * len(rows)})


def write_scores(answer: Answer) -> dict[str, Any]:
    """Return the content of an answer: the scores of each output, in the order of the rows, null where one is none."""
    scores = {name: json_scores(values) for name, values in answer.scores.items()}
    content = {"id": answer.id, "model_name": answer.model_name, "model_version": answer.model_version}
    return {**content, "scores": scores}
