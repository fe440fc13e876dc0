"""The exported graph scores as the model does."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from recsys.errors import ExportError
from recsys.export import script
from recsys.export.bundle import TOLERANCE
from recsys.export.torchscript import save
from tests.export.models import make, slow_scores
from tests.export.rows import MODELS, clicks, yaml

SINGLE_PROCESS = """
import sys
sys.modules.update(dict.fromkeys(["recsys", "torchrec", "fbgemm_gpu", "polars", "numpy"]))
import torch
folder = sys.argv[1]
model = torch.jit.load(folder + "/model.pt")
torch.save(model(torch.load(folder + "/inputs.pt")), folder + "/scores.pt")
"""


@pytest.mark.parametrize("model", MODELS)
def test_scripted_scores_are_those_of_a_row_by_row_computation(model: str, tmp_path: Path) -> None:
    made = make(yaml(model), clicks(200), tmp_path)
    fresh = clicks(60, seed=2)
    scripted = script(made.export())
    expected = slow_scores(made, fresh)
    assert expected.std() > 0.05
    np.testing.assert_allclose(scripted(made.inputs(fresh)).numpy(), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("model", ["din", "mlp"])
def test_tasks_are_scored_side_by_side(model: str, tmp_path: Path) -> None:
    made = make(yaml(model, label="{click: clicked, buy: bought}"), clicks(50), tmp_path)
    fresh = clicks(7, seed=2)
    scores = script(made.export())(made.inputs(fresh)).numpy()
    np.testing.assert_allclose(scores, slow_scores(made, fresh), rtol=0, atol=1e-6)
    assert scores.shape == (7, 2)


@pytest.mark.parametrize("model", MODELS)
def test_a_row_scores_the_same_alone_and_no_rows_score_nothing(model: str, tmp_path: Path) -> None:
    made = make(yaml(model), clicks(50), tmp_path)
    scripted = script(made.export())
    fresh = clicks(3, seed=2)
    together = scripted(made.inputs(fresh))
    for row in (0, 1, 2):
        alone = scripted(made.inputs(fresh.slice(row, 1)))
        torch.testing.assert_close(alone, together[row : row + 1], rtol=0, atol=TOLERANCE)
    none = scripted(made.inputs(fresh.clear()))
    assert none.shape == (0, 1)


def test_rows_with_nothing_known_are_scored(tmp_path: Path) -> None:
    made = make(yaml("din"), clicks(50), tmp_path)
    nothing = pl.DataFrame({name: [None] for name in made.resolved.input_columns()})
    scores = script(made.export())(made.inputs(nothing)).numpy()
    np.testing.assert_allclose(scores, slow_scores(made, nothing), rtol=0, atol=1e-6)


@pytest.mark.parametrize("features", ["x: {type: number}", "words: {type: ids}"])
def test_models_of_numbers_only_or_lists_only_are_exported(features: str, tmp_path: Path) -> None:
    train = pl.DataFrame({"clicked": [0, 1, 1], "x": [1.0, None, -2.0], "words": [["a", "b"], [], ["b"]]})
    text = f"label: clicked\nfeatures:\n  {features}\nmodel: {{tower: mlp, mlp: [4]}}\n"
    made = make(text, train, tmp_path)
    scores = script(made.export())(made.inputs(train)).numpy()
    np.testing.assert_allclose(scores, slow_scores(made, train), rtol=0, atol=1e-6)


@pytest.mark.slow
def test_the_file_loads_and_scores_where_only_torch_is_installed(tmp_path: Path) -> None:
    made = make(yaml("din"), clicks(50), tmp_path)
    scripted, inputs = script(made.export()), made.inputs(clicks(20, seed=2))
    save(scripted, tmp_path / "model.pt")
    torch.save(inputs, tmp_path / "inputs.pt")
    process = subprocess.run(
        [sys.executable, "-I", "-c", SINGLE_PROCESS, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, process.stderr
    assert torch.equal(torch.load(tmp_path / "scores.pt"), scripted(inputs))


def test_tables_and_vocabularies_are_in_the_file_once(tmp_path: Path) -> None:
    words = [f"w{i}" for i in range(20_000)]
    train = pl.DataFrame({"clicked": [0, 1] * 10_000, "word": words, "words": [[word] for word in words]})
    text = """
label: clicked
features: {word: {type: id}, words: {type: sequence, of: word}}
model: {tower: din, dim: 16, mlp: [4], attention: [4]}
"""
    made = make(text, train, tmp_path)
    save(script(made.export()), tmp_path / "model.pt")
    held = 20_001 * 16 * 4 + 20_000 * (8 + 4)
    assert held < (tmp_path / "model.pt").stat().st_size < held + 200_000


def test_the_trained_tower_is_left_as_it_was(tmp_path: Path) -> None:
    made = make(yaml("din"), clicks(50), tmp_path)
    made.tower.train()
    exported = made.export()
    assert made.tower.training
    assert not any(module.training for module in exported.modules())


def test_weights_are_not_copied(tmp_path: Path) -> None:
    made = make(yaml("mlp"), clicks(50), tmp_path)
    held = {parameter.data_ptr() for parameter in made.export().parameters()}
    assert {weight.data_ptr() for weight in made.weights.values()} <= held


def test_missing_weights_are_named(tmp_path: Path) -> None:
    made = make(yaml("mlp"), clicks(50), tmp_path)
    name = next(iter(made.weights))
    weight = made.weights.pop(name)
    with pytest.raises(ExportError, match=f"table {name}: has no trained weights"):
        made.export()
    made.weights[name] = weight[1:]
    with pytest.raises(ExportError, match=f"table {name}: weights must have shape"):
        made.export()
