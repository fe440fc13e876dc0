"""A bundle proves in a fresh process that it scores as trained, or is not written."""

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from recsys.errors import ExportError
from recsys.export import write_bundle
from recsys.export.verify import compare
from tests.export.models import Made, make, slow_scores
from tests.export.rows import clicks, yaml

GOLDEN = clicks(40, seed=2)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make(yaml("din", label="{click: clicked, buy: bought}"), clicks(100), tmp_path_factory.mktemp("model"))


def write(made: Made, folder: Path, *, expected: np.ndarray | None = None) -> None:
    write_bundle(
        folder,
        resolved=made.resolved,
        state=made.state,
        layout=made.layout,
        tower=made.tower,
        weights=made.weights,
        golden=GOLDEN,
        expected=slow_scores(made, GOLDEN) if expected is None else expected,
        metrics={"test.auc": 0.75},
    )


@pytest.fixture(scope="module")
def bundle(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "deep" / "shop"
    write(made, folder)
    return folder


def test_a_bundle_is_a_folder_of_four_files_and_nothing_is_left_beside_it(bundle: Path) -> None:
    assert sorted(path.name for path in bundle.iterdir()) == [
        "README.md",
        "golden.parquet",
        "model.pt",
        "signature.json",
    ]
    assert [path.name for path in bundle.parent.iterdir()] == ["shop"]


def test_the_signature_says_what_to_feed(bundle: Path) -> None:
    signature = json.loads((bundle / "signature.json").read_text())
    inputs = {declared["name"]: declared for declared in signature["inputs"]}
    assert list(inputs) == ["user", "item", "shop", "genres", "price", "age", "time", "items", "shops", "users"]
    assert inputs["item"] == {
        "name": "item",
        "kind": "id",
        "column": "item",
        "dtype": "int64",
        "null": -(2**63),
        "key": "text",
        "tensors": {"item": "(rows,)"},
    }
    assert (inputs["user"]["key"], inputs["items"]["key"], inputs["shops"]["key"]) == ("int", "text", "int")
    assert inputs["genres"]["separator"] == "|"
    assert inputs["genres"]["tensors"] == {"genres.values": "(values,)", "genres.lengths": "(rows,)"}
    assert (inputs["age"]["column"], inputs["age"]["dtype"], inputs["age"]["null"]) == ("years", "float64", "NaN")
    assert (inputs["time"]["dtype"], inputs["time"]["unit"]) == ("int64", "s")
    assert [output["name"] for output in signature["outputs"]] == ["score.click", "score.buy"]
    assert (signature["hash"], signature["metrics"]) == ("xxhash64/1", {"test.auc": 0.75})
    assert signature["sha256"]["model.pt"] == hashlib.sha256((bundle / "model.pt").read_bytes()).hexdigest()


def test_golden_rows_hold_inputs_and_the_scores_of_training(made: Made, bundle: Path) -> None:
    golden = parquet.read_table(bundle / "golden.parquet")
    assert golden.num_rows == 40
    assert golden["item"][0].as_py() != GOLDEN["item"][0]
    assert golden["users"][0].as_py() == GOLDEN["users"][0].fill_null(-(2**63)).to_list()
    np.testing.assert_array_equal(golden["score.buy"].to_numpy(), slow_scores(made, GOLDEN)[:, 1])


def test_the_snippet_of_the_readme_scores_the_golden_rows(made: Made, bundle: Path) -> None:
    snippet = (bundle / "README.md").read_text().split("```python\n")[1].split("```")[0]
    code = f"import warnings; warnings.simplefilter('ignore')\n{snippet}\nprint(model(inputs)[3].tolist())"
    process = subprocess.run(
        [sys.executable, "-I", "-c", code], cwd=bundle, capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, process.stderr
    scores = json.loads(process.stdout.splitlines()[-1])
    np.testing.assert_allclose(scores, slow_scores(made, GOLDEN)[3], rtol=0, atol=1e-6)


def test_other_scores_than_in_training_are_refused_and_nothing_is_left(made: Made, tmp_path: Path) -> None:
    expected = slow_scores(made, GOLDEN)
    expected[17, 1] += 1e-3
    with pytest.raises(ExportError, match=r"score\.buy: .*difference of 0\.001; worst is golden row 17"):
        write(made, tmp_path / "shop", expected=expected)
    assert list(tmp_path.iterdir()) == []


def test_scores_that_are_no_numbers_differ_by_more_than_any_tolerance(bundle: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(bundle, tmp_path / "copy")
    golden = parquet.read_table(copy / "golden.parquet").to_pydict()
    golden["score.click"][5] = float("nan")
    parquet.write_table(pa.table(golden), copy / "golden.parquet")
    found = compare(copy)
    assert (found["difference"], found["row"], found["output"]) == (float("inf"), 5, "score.click")


def test_expected_scores_must_be_one_row_each(made: Made, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"must have shape \(40, 2\), got \(40, 1\)"):
        write(made, tmp_path / "shop", expected=np.zeros((40, 1)))


def test_a_bundle_is_replaced_and_kept_when_the_new_one_fails(made: Made, bundle: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(bundle, tmp_path / "shop")
    (folder / "README.md").write_text("old")
    with pytest.raises(ExportError):
        write(made, folder, expected=np.zeros((40, 2)))
    assert (folder / "README.md").read_text() == "old"
    write(made, folder)
    assert (folder / "README.md").read_text().startswith("# shop")
    assert [path.name for path in tmp_path.iterdir()] == ["shop"]


def test_a_folder_that_is_not_a_bundle_is_not_touched(made: Made, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(ExportError, match=r"is not a bundle \(it holds thesis\.tex\) and is not overwritten"):
        write(made, tmp_path)
    assert (tmp_path / "thesis.tex").read_text() == "years of work"
    with pytest.raises(ExportError, match="must be a folder, but is a file"):
        write(made, tmp_path / "thesis.tex")
