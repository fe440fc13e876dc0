"""The C++ program beside the server, compiled against the installed torch."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.pages import page

pytestmark = pytest.mark.slow
EXAMPLES = Path(__file__).parents[2] / "recsys" / "serving" / "examples"
COMPILER = shutil.which("g++")


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if COMPILER is None:
        pytest.skip("needs a C++ compiler (g++)")
    program = tmp_path_factory.mktemp("cpp") / "score"
    torch_folder = Path(torch.__file__).parent
    include, library = torch_folder / "include", torch_folder / "lib"
    flags = [f"-I{include}", f"-I{include}/torch/csrc/api/include", f"-L{library}", f"-Wl,-rpath,{library}"]
    command = [COMPILER, "-std=c++20", "-O1", EXAMPLES / "score.cpp", "-o", program, *flags]
    subprocess.run([*command, "-ltorch", "-ltorch_cpu", "-lc10"], check=True, capture_output=True, timeout=900)
    return program


def test_golden_rows_have_the_scores_of_training_in_cpp(program: Path, bundle: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(bundle, tmp_path / "shop")
    code = page("recsys/serving/examples/README.md").files()["golden.py"]
    subprocess.run([sys.executable, "-c", code], cwd=folder, check=True, timeout=300)
    command = [program, folder / "model.pt", folder / "golden.pt"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("70 rows, largest difference ")
    tensors = torch.load(folder / "golden.pt")
    torch.save({**tensors, "__expected": tensors["__expected"] + 1e-5}, folder / "golden.pt")
    assert subprocess.run(command, capture_output=True, check=False, timeout=300).returncode == 1
    (folder / "golden.pt").write_bytes(b"no tensors")
    assert subprocess.run(command, capture_output=True, check=False, timeout=300).returncode == 2


def test_the_program_is_short_enough_to_read() -> None:
    assert len((EXAMPLES / "score.cpp").read_text().splitlines()) < 60
