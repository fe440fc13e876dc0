"""The locks and the script that installs them."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from recsys.environment.versions import NEWEST_PYTHON, OLDEST_PYTHON, TRIPLES

ROOT = Path(__file__).resolve().parents[1]
SET_UP = ROOT / ".ci" / "set_up.py"


def pins(lock: str) -> dict[str, str]:
    text = (ROOT / ".ci" / f"requirements-{lock}.txt").read_text()
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", text, flags=re.MULTILINE))


def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def set_up(venv: Path, *arguments: str, index: Path) -> subprocess.CompletedProcess[str]:
    """Run the script where pip knows one index, a folder."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    environment |= {"PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": index.as_uri()}
    command = [sys.executable, SET_UP, "--venv", venv, *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


def test_the_cpu_lock_has_the_cpu_builds_and_nothing_of_cuda() -> None:
    found = pins("cpu")
    newest = TRIPLES[0]
    assert found["torch"] == f"{newest.torch}+cpu"
    assert (found["torchrec"], found["fbgemm-gpu-cpu"]) == (newest.torchrec, newest.fbgemm)
    assert not [name for name in found if re.match("nvidia|cuda|triton|fbgemm-gpu$", name)]


def test_the_cuda_lock_is_the_cpu_lock_with_the_builds_and_libraries_of_cuda() -> None:
    cpu, cuda = pins("cpu"), pins("cuda")
    assert cuda["torch"] == TRIPLES[0].torch
    assert cuda["fbgemm-gpu"] == TRIPLES[0].fbgemm
    assert {name: pin for name, pin in cuda.items() if name in cpu and name != "torch"} == {
        name: pin for name, pin in cpu.items() if name not in ("torch", "fbgemm-gpu-cpu")
    }
    assert {"nvidia-cudnn-cu13", "nvidia-nccl-cu13", "triton"} <= cuda.keys()


def test_the_main_installation_has_every_dependency_and_no_extra() -> None:
    tables = project()["project"]
    names = {re.match(r"[A-Za-z0-9.-]+", line)[0].replace(".", "-") for line in tables["dependencies"]}  # type: ignore[index]
    assert names <= pins("cpu").keys()
    assert not pins("cpu").keys() & pins("dev").keys()
    assert {"tensorboard", "matplotlib", "scipy", "pytest", "ruff"} <= pins("dev").keys()


def test_the_lock_of_a_serving_host_has_the_releases_that_are_tested() -> None:
    names = {re.match(r"[a-z-]+", line)[0] for line in project()["project"]["optional-dependencies"]["serve"]}  # type: ignore[index]
    assert names <= pins("serve").keys()
    assert pins("serve").items() <= pins("dev").items()
    assert len(pins("serve")) <= 10


def test_doctor_and_the_package_agree_on_the_versions_of_python() -> None:
    (major, oldest), (_, newest) = OLDEST_PYTHON, NEWEST_PYTHON
    assert project()["project"]["requires-python"] == f">={major}.{oldest},<{major}.{newest + 1}"


@pytest.mark.slow
def test_without_a_cpu_build_in_any_index_set_up_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "index.html").write_text('<a href="torch-2.13.0-cp311-abi3-manylinux_2_28_x86_64.whl">.</a>')
    done = set_up(tmp_path / ".venv", "--cpu-index", tmp_path.as_uri(), index=tmp_path)
    assert done.returncode != 0
    assert len(done.stderr.splitlines()) == 1
    assert "no index has torch==2.13.0+cpu" in done.stderr
    assert "make CPU_INDEX=URL" in done.stderr


def test_a_python_without_wheels_is_refused_with_the_way_out() -> None:
    code = "import sys; sys.version_info = (3, 10, 1); sys.path.insert(0, '.ci'); import set_up; set_up.check_python()"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "recsys needs Python 3.11 to 3.14" in done.stderr
    assert "make PYTHON=python3." in done.stderr
