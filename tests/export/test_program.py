"""Models as programs of torch.export."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from torch import Tensor, nn

from recsys.calibration import Calibrator
from recsys.config.calibrations import CALIBRATIONS
from recsys.config.feature_types import FEATURE_TYPES
from recsys.errors import ExportError
from recsys.export import export_module
from recsys.export.program import export_program, save_program
from tests.export.models import Made, make
from tests.export.rows import HISTORIES, SMALL, clicks, yaml

NO_LISTS = [pl.lit([]).alias(name) for name in HISTORIES]


def scores(program: object, made: Made, frame: pl.DataFrame) -> Tensor:
    found: Tensor = program(made.inputs(frame))  # type: ignore[operator]
    return found


@pytest.mark.slow
def test_all_types_of_features_score_as_the_graph_does_in_any_number_of_rows(tmp_path: Path) -> None:
    made = make(yaml("din"), clicks(100), tmp_path)
    assert {feature.type for feature in made.resolved.features.values()} == set(FEATURE_TYPES)
    program = export_program(made.export(), list(made.inputs(clicks(1))))
    save_program(program, tmp_path / "model.pt2")
    loaded, graph = torch.export.load(tmp_path / "model.pt2").module(), made.export()
    for frame in (clicks(40, seed=2), clicks(1, seed=3), clicks(2).with_columns(NO_LISTS)):
        torch.testing.assert_close(scores(loaded, made, frame), scores(graph, made, frame), rtol=0, atol=1e-6)
    assert scores(loaded, made, clicks(3).clear()).shape == (0, 1)


@pytest.mark.parametrize("method", ["isotonic", "platt"])
def test_a_program_calibrates_rows_by_the_values_of_a_field(method: str, tmp_path: Path) -> None:
    made = make(SMALL, clicks(50), tmp_path)
    calibration = CALIBRATIONS[method].model_validate({"method": method, "by": "user"})
    calibrator = Calibrator(calibration, ["label"])
    random = np.random.default_rng(0)
    user, score = random.integers(1, 4, 3000), random.random((3000, 1))
    calibrator.fit(score, (random.random((3000, 1)) < score ** user[:, None]).astype(np.float64), None, user)
    assert len(calibrator.ids) >= 2
    resolved = replace(made.resolved, config=made.resolved.config.replaced(calibration=calibration))
    arguments = (resolved, made.state, made.layout, made.tower, made.weights, calibrator)
    program = export_program(export_module(*arguments), list(made.inputs(clicks(1)))).module()
    frame = clicks(60, seed=2)
    expected = scores(export_module(*arguments), made, frame)
    torch.testing.assert_close(scores(program, made, frame), expected, rtol=0, atol=1e-6)
    assert (expected != scores(made.export(), made, frame)).any()


def test_a_program_tells_no_path_and_has_no_pickled_inputs(tmp_path: Path) -> None:
    made = make(SMALL, clicks(50), tmp_path)
    save_program(export_program(made.export(), list(made.inputs(clicks(1)))), tmp_path / "model.pt2")
    content = (tmp_path / "model.pt2").read_bytes()
    assert str(Path(__file__).parents[2]).encode() not in content
    assert b"site-packages" not in content


class Looped(nn.Module):
    """What torch.export cannot express: as many steps as an id says."""

    def forward(self, id_V: Tensor, feature_index: int) -> Tensor:
        del feature_index
        row_VD = torch.zeros(id_V.size(0), 4)
        for _ in range(int(id_V.max())):
            row_VD = row_VD + 1
        return row_VD


def test_a_part_that_cannot_be_exported_is_named(tmp_path: Path) -> None:
    made = make(SMALL, clicks(50), tmp_path)
    graph = made.export()
    graph.tables[1].serving = Looped()
    with pytest.raises(ExportError, match=r"pt2: the table of field user \(Looped\) cannot be exported: Could not"):
        export_program(graph, list(made.inputs(clicks(1))))
    graph = made.export()

    class Odd(nn.Module):
        fields = ("user",)

        def forward(self, raw: dict[str, Tensor], ids: dict[str, Tensor]) -> None:
            ids["user"] = raw["user"].clamp(max=int(raw["user"].max()))

    graph.encoders[0] = Odd()
    with pytest.raises(ExportError, match=r"the feature of field user \(Odd\) cannot be exported"):
        export_program(graph, list(made.inputs(clicks(1))))
