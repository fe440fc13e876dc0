import re
from typing import Any

import nbformat
import pytest

from tests.notebooks.execute import NOTEBOOKS, execute_short, is_picture, outputs, pictures

pytestmark = pytest.mark.slow

NOTEBOOK = NOTEBOOKS / "tour_of_a_run.ipynb"
NUM_PICTURES = 8


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The notebook after all its cells were run, on fewer rows than it asks for."""
    return execute_short(NOTEBOOK, tmp_path_factory.mktemp("tour"))


def test_every_cell_runs_and_nothing_is_said_on_stderr(executed: Any) -> None:
    assert [cell.source for cell in executed.cells if cell.cell_type == "code" and not cell.execution_count] == []
    assert [output.text for output in outputs(executed) if output.get("name") == "stderr"] == []


def test_every_cell_that_plots_shows_one_picture(executed: Any) -> None:
    for cell in executed.cells:
        if "plt.show()" in cell.source:
            assert sum(map(is_picture, cell.outputs)) == 1, cell.source
    assert len(pictures(executed)) == NUM_PICTURES


def test_it_finds_that_din_is_better_on_a_log_with_planted_interests(executed: Any) -> None:
    said = "".join(output.get("text", "") for output in outputs(executed))
    assert "AUC of din - AUC of autoint = +0." in said


def test_the_notebook_is_kept_with_its_pictures_and_small() -> None:
    kept = nbformat.read(NOTEBOOK, as_version=4)
    shown = outputs(kept)
    assert len(pictures(kept)) == NUM_PICTURES
    assert NOTEBOOK.stat().st_size < 400_000
    assert not [output for output in shown if "/tmp" in output.get("text", "")], "a path of the machine it was made on"


def test_the_notebook_imports_only_the_surface_and_the_metrics() -> None:
    sources = [cell.source for cell in nbformat.read(NOTEBOOK, as_version=4).cells if cell.cell_type == "code"]
    imported = re.findall(r"^(?:from|import) (recsys\S*)", "\n".join(sources), re.MULTILINE)
    assert sorted(imported) == ["recsys", "recsys.evaluation"]
