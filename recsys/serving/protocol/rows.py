"""Plain JSON rows, for people without a client library: `{"rows": [{"user": 7, "item": "i3"}, ...]}`."""

from collections.abc import Sequence
from typing import Any

import polars as pl

from recsys.errors import DataError
from recsys.serving.protocol.request import Answer, check_num_rows
from recsys.serving.protocol.rest import json_scores, request_id
from recsys.serving.protocol.tensors import REQUEST
from recsys.sources.json_rows import json_frame

__all__ = ["read_rows", "write_scores"]


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


def write_scores(answer: Answer) -> dict[str, Any]:
    """Return the content of an answer: the scores of each output, in the order of the rows, null where one is none."""
    scores = {name: json_scores(values) for name, values in answer.scores.items()}
    content = {"id": answer.id, "model_name": answer.model_name, "model_version": answer.model_version}
    return {**content, "scores": scores}
