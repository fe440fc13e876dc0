from typing import Any

import numpy as np
import pytest

from recsys.errors import DataError
from recsys.serving.protocol.request import Answer
from recsys.serving.protocol.rows import read_ranking, read_rows, write_scores


def test_rows_become_raw_columns() -> None:
    found, frame = read_rows({"id": "a", "rows": [{"user": 7, "seen": []}]}, ["user", "seen"], max_rows=2)
    assert (found, frame.to_dicts()) == ("a", [{"user": 7, "seen": []}])
    assert len(read_rows({"rows": []}, ["user"], max_rows=2)[0]) == 32


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ({}, "rows: must be a list of objects"),
        ({"rows": [1]}, "rows: must be a list of objects"),
        ({"rows": [{}, {}, {}]}, "a request may have 2 rows, got 3; send several requests"),
        ({"rows": [{}]}, r"column user: is missing; write null where there is no value \(row 1\)"),
        ({"rows": [], "id": 7}, "id: must be a text, got 7"),
    ],
)
def test_what_is_no_request_is_refused(content: dict[str, Any], problem: str) -> None:
    with pytest.raises(DataError, match=problem):
        read_rows(content, ["user"], max_rows=2)


def test_a_user_and_the_candidates_become_raw_columns() -> None:
    content = {"id": "a", "user": {"user": 7, "seen": []}, "candidates": [{"item": 1, "title": "x"}, {"item": None}]}
    found, rows = read_ranking(content, ["user", "seen"], ["item"], max_rows=2)
    assert (found, rows.user.to_dicts()) == ("a", [{"user": 7, "seen": []}])
    assert rows.candidates.to_dicts() == [{"item": 1}, {"item": None}]
    assert read_ranking({"candidates": [{"item": 1}]}, [], ["item"])[1].user.height == 1
    assert read_ranking({"user": {"user": 7}, "candidates": [{}, {}]}, ["user"], [])[1].candidates.height == 2


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ({"user": {"user": 7}}, "candidates: must be a list of objects"),
        ({"user": {"user": 7}, "candidates": [1]}, "candidates: must be a list of objects"),
        ({"user": [7], "candidates": []}, "user: must be an object"),
        ({"user": {}, "candidates": []}, r"user: column user: is missing; write null where there is no value"),
        ({"user": {"user": 7}, "candidates": [{"item": 1}, {}]}, r"column item: is missing; .* \(row 2\)"),
        ({"user": {"user": 7}, "candidates": [{}] * 3}, "a request may have 2 candidates, got 3"),
        ({"user": {"user": 7}, "candidates": [], "id": 7}, "id: must be a text"),
    ],
)
def test_what_ranks_nothing_is_refused(content: dict[str, Any], problem: str) -> None:
    with pytest.raises(DataError, match=problem):
        read_ranking(content, ["user"], ["item"], max_rows=2)


def test_an_answer_has_the_scores_by_output() -> None:
    answer = Answer("a", "shop", "v1", {"score.click": np.array([0.25, np.nan])})
    assert write_scores(answer) == {
        "id": "a",
        "model_name": "shop",
        "model_version": "v1",
        "scores": {"score.click": [0.25, None]},
    }
