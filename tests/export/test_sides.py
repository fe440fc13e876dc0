"""The ranking form of exported models: candidates of users have the scores of plain rows."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from torch import Tensor

from recsys.calibration import Calibrator
from recsys.config.calibrations import CALIBRATIONS
from recsys.errors import ExportError
from recsys.export import export_module, script
from recsys.export.graph import Graph
from recsys.export.sides import user_inputs
from recsys.features.transform import canonicalize
from tests.export.models import Made, make, tensors
from tests.export.rows import MODELS, clicks, yaml

USERS, CANDIDATES = clicks(9, seed=3), clicks(40, seed=4)
COUNTS = [7, 0, 1, 12, 3, 0, 9, 8, 0]
USER_COLUMNS = {
    "histories alone": [],
    "what says something of a user": ["user", "years", "price", "time"],
    "a field that histories are of": ["item", "genres"],
    "everything": ["user", "item", "shop", "genres", "price", "years", "time"],
}


def graph_of(made: Made, named: list[str]) -> Graph:
    return export_module(made.resolved, made.state, made.layout, made.tower, made.weights, user_columns=named)


def ranking_inputs(
    made: Made, named: list[str], counts: list[int], users: pl.DataFrame, candidates: pl.DataFrame
) -> tuple[dict[str, Tensor], pl.DataFrame]:
    """Return a ranking request, and the same as plain raw rows."""
    of_user = user_inputs(made.resolved, named)
    columns = [made.resolved.features[name].column_of(name) for name in of_user]
    user_B = np.repeat(np.arange(len(counts)), counts)
    given = tensors(canonicalize(candidates, made.resolved, made.state))
    given |= {
        name: tensor
        for name, tensor in tensors(canonicalize(users, made.resolved, made.state)).items()
        if name.split(".")[0] in of_user
    }
    rows = candidates.with_columns(users[user_B].select(columns).get_columns())
    return given | {"candidates.lengths": torch.tensor(counts, dtype=torch.int64)}, rows


@pytest.fixture(scope="module", params=MODELS)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make(yaml(request.param), clicks(100), tmp_path_factory.mktemp("model"))


@pytest.mark.slow
@pytest.mark.parametrize("title", USER_COLUMNS)
@torch.inference_mode()
def test_candidates_of_users_have_the_scores_of_plain_rows(model: Made, title: str) -> None:
    named = USER_COLUMNS[title]
    graph = graph_of(model, named)
    given, rows = ranking_inputs(model, named, COUNTS, USERS, CANDIDATES)
    expected = graph(tensors(canonicalize(rows, model.resolved, model.state)))
    torch.testing.assert_close(script(graph)(given), expected, rtol=0, atol=1e-6)


@torch.inference_mode()
def test_few_candidates_a_user_and_none_have_their_scores(made: Made) -> None:
    graph = script(graph_of(made, ["user"]))
    for counts in ([1] * 9, [2, 0, 1, 1, 3, 0, 1, 1, 0], [0] * 9, []):
        users, candidates = USERS[: len(counts)], CANDIDATES[: sum(counts)]
        given, rows = ranking_inputs(made, ["user"], counts, users, candidates)
        expected = graph(tensors(canonicalize(rows, made.resolved, made.state)))
        torch.testing.assert_close(graph(given), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("by", ["user", "item"])
@pytest.mark.parametrize("named", [[], ["user"], ["user", "item"]])
@torch.inference_mode()
def test_candidates_are_calibrated_by_what_says_something_of_their_user_or_of_themselves(
    by: str, named: list[str], made: Made
) -> None:
    calibration = CALIBRATIONS["platt"].model_validate({"method": "platt", "by": by})
    resolved = replace(made.resolved, config=made.resolved.config.replaced(calibration=calibration))
    tasks = list(resolved.config.labels)
    calibrator = Calibrator(calibration, tasks)
    curves = [{"slope": [1.0], "shift": [shift]} for shift in (0.0, 1.0, -1.0, 2.0)]
    of_task = {"shares": [1.0, 0.5, 1.0], "curves": curves}
    calibrator.load({"ids": [1, 2, 3], "tasks": dict.fromkeys(tasks, of_task)})
    graph = export_module(resolved, made.state, made.layout, made.tower, made.weights, calibrator, user_columns=named)
    given, rows = ranking_inputs(made, named, COUNTS, USERS, CANDIDATES)
    plain = tensors(canonicalize(rows, made.resolved, made.state))
    expected = script(graph)(plain)
    torch.testing.assert_close(script(graph)(given), expected, rtol=0, atol=1e-6)
    assert (expected != made.export()(plain)).any()


def test_a_list_must_not_have_the_name_of_the_lengths_of_candidates(tmp_path: Path) -> None:
    features = 'candidates: {type: ids, column: genres, separator: "|"}'
    text = f"label: clicked\nfeatures:\n  {features}\nmodel: {{tower: mlp, dim: 4, mlp: [4]}}\n"
    with pytest.raises(ExportError, match=r"features\.candidates: needs another name: candidates\.lengths counts"):
        make(text, clicks(20), tmp_path).export()


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"candidates.lengths": torch.tensor([41, -1])}, "input candidates.lengths: must not be negative, got -1"),
        ({"candidates.lengths": torch.tensor([40.0])}, "input candidates.lengths: dtype must be int64, got float32"),
        ({"candidates.lengths": torch.tensor([40])}, r"input user: shape must be \(1,\), got \[9\]"),
        ({"candidates.lengths": torch.tensor([4] * 9)}, r"input item: shape must be \(36,\), got \[40\]"),
        ({"users.lengths": torch.zeros(8, dtype=torch.int64)}, r"input users.lengths: shape must be \(9,\), got \[8\]"),
    ],
)
def test_a_request_that_does_not_fit_is_refused_by_the_name_of_its_input(
    made: Made, changes: dict[str, Tensor], problem: str
) -> None:
    given, _ = ranking_inputs(made, ["user"], COUNTS, USERS, CANDIDATES)
    with pytest.raises(RuntimeError, match=problem):
        graph_of(made, ["user"])(given | changes)
