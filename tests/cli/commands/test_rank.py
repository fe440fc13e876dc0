"""The command prints the candidates of a request, the best first."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import recsys
from tests.export.bundles import write
from tests.export.models import Made
from tests.export.rows import HISTORIES
from tests.serving.bundles import ROWS, bundle, made

__all__ = ["bundle", "made"]

pytestmark = pytest.mark.slow

OF_USER = HISTORIES
USER = ROWS[:1].select(OF_USER).to_dicts()[0]


def rank(*argv: str, content: str = "") -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "recsys", "rank", *argv]
    return subprocess.run(command, input=content, capture_output=True, text=True, check=False)


def test_candidates_are_printed_with_their_scores_the_best_first(bundle: Path, tmp_path: Path) -> None:
    candidates = [{"title": f"number {i}", **row} for i, row in enumerate(ROWS.drop(OF_USER).to_dicts())]
    request = json.dumps({"user": USER, "candidates": candidates})
    (tmp_path / "request.json").write_text(request)
    printed = rank(str(bundle), str(tmp_path / "request.json"))
    assert (printed.returncode, printed.stderr) == (0, "")
    found = [json.loads(line) for line in printed.stdout.splitlines()]
    assert [one["score"] for one in found] == sorted((one["score"] for one in found), reverse=True)
    assert sorted(one["title"] for one in found) == sorted(one["title"] for one in candidates)
    expected = recsys.Bundle(bundle).predict([{**candidates[int(one["title"][7:])], **USER} for one in found])
    assert [one["score"] for one in found] == pytest.approx(expected["score"].to_list(), abs=1e-6)
    piped = rank(str(bundle), "-", "--top", "3", content=request)
    assert piped.stdout.splitlines() == printed.stdout.splitlines()[:3]


def test_candidates_of_which_the_model_reads_nothing_are_printed_too(made: Made, tmp_path: Path) -> None:
    write(made, tmp_path / "din", user_columns=ROWS.drop(*OF_USER, "clicked", "bought").columns)
    user, titles = ROWS[:1].drop("clicked", "bought").to_dicts()[0], [{"title": "a"}, {"title": "b"}]
    printed = rank(str(tmp_path / "din"), "-", content=json.dumps({"user": user, "candidates": titles}))
    first, second = [json.loads(line) for line in printed.stdout.splitlines()]
    assert (first["title"], second["title"]) == ("a", "b")
    assert first["score"] == pytest.approx(second["score"], abs=1e-6)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("{", "-: the body is no JSON"),
        ('{"user": {"items": [], "shops": [], "users": []}}', "-: candidates: must be a list of objects"),
        (
            json.dumps({"user": USER, "candidates": [{**ROWS[:1].drop(OF_USER).to_dicts()[0], "score": 1}]}),
            "-: candidates: column 'score' has the name of a score",
        ),
        ('{"user": {"items": []}, "candidates": []}', "-: user: column shops: is missing"),
    ],
)
def test_a_request_that_does_not_fit_is_refused(bundle: Path, content: str, problem: str) -> None:
    refused = rank(str(bundle), "-", content=content)
    assert refused.returncode == 2
    assert refused.stderr.startswith(f"error: {problem}")
    assert refused.stdout == ""
