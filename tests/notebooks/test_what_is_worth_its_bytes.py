from typing import Any

import nbformat
import pytest

from tests.notebooks.execute import NOTEBOOKS, execute_short, outputs, pictures

pytestmark = pytest.mark.slow

NOTEBOOK = NOTEBOOKS / "what_is_worth_its_bytes.ipynb"


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The notebook after all its cells were run, on fewer rows than it asks for."""
    return execute_short(NOTEBOOK, tmp_path_factory.mktemp("search"))


def test_every_cell_runs_and_shows_the_front_and_the_widths(executed: Any) -> None:
    assert [cell.source for cell in executed.cells if cell.cell_type == "code" and not cell.execution_count] == []
    assert [output.text for output in outputs(executed) if output.get("name") == "stderr"] == []
    assert len(pictures(executed)) == 2
    said = "".join(output.get("text", "") for output in outputs(executed))
    assert "useless  mean width" in said
    assert "tables:" in said


def test_the_notebook_is_kept_with_its_pictures_and_small() -> None:
    kept = nbformat.read(NOTEBOOK, as_version=4)
    assert len(pictures(kept)) == 2
    assert NOTEBOOK.stat().st_size < 200_000
    assert not [output for output in outputs(kept) if "/tmp" in output.get("text", "")], "a path of another machine"
